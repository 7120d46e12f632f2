import type { CodedError } from "../errors/coded_error.ts";
import type { Lsn } from "../wire/lsn.ts";
import type { PageserverFeedback } from "../wire/safekeeper/feedback.ts";
import type { TermHistory } from "../wire/safekeeper/history.ts";
import type { AcceptorMessage, HotStandbyFeedback, ProposerMessage } from "../wire/safekeeper/messages.ts";

/** What a proposer is told. `peer` is the acceptor's index, `connection` the number its `connect` effect carried. */
export type ProposerEvent =
  /** At least every 250 ms; nothing happens in time without it. */
  | { readonly type: "tick" }
  /** The session is in COPY BOTH (`START_WAL_PUSH` was answered with CopyBothResponse). */
  | { readonly type: "connected"; readonly peer: number; readonly connection: number }
  /** Could not connect, end of stream, or an ErrorResponse: then `refusal` is its text. */
  | { readonly type: "disconnected"; readonly peer: number; readonly connection: number; readonly refusal?: string }
  | { readonly type: "message"; readonly peer: number; readonly connection: number; readonly message: AcceptorMessage }
  /** The answer to `read_wal`: at least one byte, at most what was asked, from its `begin` on. */
  | {
      readonly type: "wal";
      readonly peer: number;
      readonly connection: number;
      readonly begin: Lsn;
      readonly bytes: Uint8Array;
    }
  /** The answer to `read_wal` when its source cannot give the bytes (now). */
  | { readonly type: "wal_unavailable"; readonly peer: number; readonly connection: number }
  /** Postgres runs and its first record starts here: checked against the start LSN, now and after every new election. */
  | { readonly type: "server_began"; readonly lsn: Lsn }
  /** Postgres flushed up to here (any byte position). */
  | { readonly type: "local_flushed"; readonly lsn: Lsn }
  /** Local WAL below this is gone: from now on it comes from other acceptors. */
  | { readonly type: "local_removed"; readonly before: Lsn };

/** Where the bytes of a `read_wal` come from. */
export type WalSource =
  | { readonly from: "local" }
  /** `START_REPLICATION PHYSICAL <begin> (term='<term>')` at that acceptor (contract: storage-protocols.md 5.8). */
  | { readonly from: "peer"; readonly peer: number; readonly term: bigint };

/** What the driver does, in this order; none of it is awaited. */
export type ProposerEffect =
  /** Dial and start a push session; answered by `connected` or `disconnected`. */
  | { readonly kind: "connect"; readonly peer: number; readonly connection: number }
  | { readonly kind: "send"; readonly peer: number; readonly connection: number; readonly message: ProposerMessage }
  /** Close; no event of this connection is wanted any more. */
  | { readonly kind: "close"; readonly peer: number; readonly connection: number }
  /** Answered by `wal` or `wal_unavailable`, when the socket can take more; at most one a peer is under way. */
  | {
      readonly kind: "read_wal";
      readonly peer: number;
      readonly connection: number;
      readonly begin: Lsn;
      readonly end: Lsn;
      readonly source: WalSource;
    }
  /**
   * Won: older proposers can commit nothing from now on. Store `term` as the last elected term before going on. May come
   * again with another start LSN until `synced`.
   * `donorLastLogTerm` tells whether a kept PGDATA may stay (contract: storage-protocols.md 5.10).
   */
  | {
      readonly kind: "elected";
      readonly term: bigint;
      readonly startLsn: Lsn;
      readonly donor: number;
      readonly donorLastLogTerm: bigint;
      readonly history: TermHistory;
    }
  /**
   * Stream mode: a quorum committed everything up to the start LSN, a base backup can be cut there. Sync mode: that, and
   * every reachable acceptor stored it; the proposer is done. 0 = no WAL anywhere.
   */
  | { readonly kind: "synced"; readonly lsn: Lsn }
  /** Durable at a quorum and locally flushed: waiting commits up to here may return. Only rises. */
  | { readonly kind: "committed"; readonly lsn: Lsn }
  /** Minimum over the active acceptors, for Postgres; all 0 when there are no replicas. */
  | { readonly kind: "hot_standby"; readonly hotStandby: HotStandbyFeedback }
  | { readonly kind: "pageserver_feedback"; readonly peer: number; readonly feedback: PageserverFeedback }
  /** This attempt is over, a new one begins by itself in a second. */
  | { readonly kind: "stepped_down"; readonly reason: string }
  /** Another proposer took over with `term` after we had been elected. The end: Postgres must be killed. */
  | { readonly kind: "fenced"; readonly term: bigint; readonly reason: string }
  /** Cannot go on, but nobody took over. The end. */
  | { readonly kind: "failed"; readonly error: CodedError }
  | { readonly kind: "log"; readonly level: "info" | "warn" | "error"; readonly message: string };
