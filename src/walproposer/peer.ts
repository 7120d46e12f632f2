import type { Lsn } from "../wire/lsn.ts";
import { type HotStandbyFeedback, NO_HOT_STANDBY, type Vote } from "../wire/safekeeper/messages.ts";

/**
 * Where a proposer stands with one acceptor (contract: storage-protocols.md 5.7.4). In `wait_voting` and `voted` nothing is
 * expected from the peer: any message there ends the connection.
 */
type PeerPhase = "offline" | "connecting" | "greeting" | "wait_voting" | "wait_verdict" | "voted" | "active";

/** One acceptor as the proposer knows it. Times are milliseconds of the caller's clock. */
export interface Peer {
  readonly index: number;
  phase: PeerPhase;
  /** Number of the newest connection; events of older ones are ignored. */
  connection: number;
  /** Not before this an offline peer is dialled again. */
  dialAt: number;
  heardAt: number;
  sentAt: number;
  /** The commit LSN that the last append carried, over all connections. */
  sentCommitLsn: Lsn;
  nodeId: bigint | undefined;
  /** Highest term it ever spoke of. */
  heardTerm: bigint;
  /** Highest term it ever spoke of that we never asked for: another proposer did. */
  foreignTerm: bigint;
  /** Of this connection. */
  vote: Vote | undefined;
  /** Next byte to send on this connection. */
  position: Lsn;
  /** A `read_wal` is under way for this connection. */
  reading: boolean;
  /** Not before this a failed read is tried again; undefined when none failed. */
  readAgainAt: number | undefined;
  /** Reads that failed since the last one that did not. */
  failedReads: number;
  /** Picks among the acceptors that can give WAL; moves on when one fails, stays with one that does not. */
  sourceTurn: number;
  /** Durable at the peer in our term, over all connections. */
  flushLsn: Lsn;
  /** Stored at the peer, over all connections. */
  commitLsn: Lsn;
  /** Both of the two above were reported on this connection; counts for the end of a sync. */
  answered: boolean;
  hotStandby: HotStandbyFeedback;
  /** Error responses in a row without progress. */
  refusals: number;
}

export function newPeer(index: number): Peer {
  return {
    index,
    phase: "offline",
    connection: 0,
    dialAt: 0,
    heardAt: 0,
    sentAt: 0,
    sentCommitLsn: 0n,
    nodeId: undefined,
    heardTerm: 0n,
    foreignTerm: 0n,
    vote: undefined,
    position: 0n,
    reading: false,
    readAgainAt: undefined,
    failedReads: 0,
    sourceTurn: 0,
    flushLsn: 0n,
    commitLsn: 0n,
    answered: false,
    hotStandby: NO_HOT_STANDBY,
    refusals: 0,
  };
}
