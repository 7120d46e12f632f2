import type { Lsn } from "../wire/lsn.ts";
import type { TermHistory } from "../wire/safekeeper/history.ts";
import { type AppendResponse, type HotStandbyFeedback, NO_HOT_STANDBY } from "../wire/safekeeper/messages.ts";
import type { RecordTracker, StartTracking } from "./record_tracker.ts";

/** What the timeline's WAL was made by. */
export interface ServerInfo {
  /** server_version_num, such as 170005; only the major is compared. */
  readonly pgVersion: number;
  /** 0 = not known yet. */
  readonly systemId: bigint;
  /** Bytes. */
  readonly walSegSize: number;
}

/** What an acceptor keeps in one file that is replaced atomically (contract: storage-protocols.md 5.7.2). */
export interface AcceptorRecord {
  readonly term: bigint;
  readonly history: TermHistory;
  readonly server: ServerInfo;
  readonly timelineStartLsn: Lsn;
  readonly localStartLsn: Lsn;
  readonly commitLsn: Lsn;
  readonly peerHorizonLsn: Lsn;
}

/** Who this acceptor is, and what it accepts. */
export interface AcceptorIdentity {
  /** Never 0. */
  readonly nodeId: bigint;
  readonly tenantId: string;
  readonly timelineId: string;
  /**
   * What to do about a proposer with another system id: real safekeepers adopt it with a warning (contract:
   * storage-protocols.md 5.7.3); a store whose base images carry the id refuses it.
   */
  readonly foreignSystemId: "adopt" | "refuse";
}

/** What is remembered of one connection; gone when it ends. */
export interface AcceptorConnection {
  readonly greeted: boolean;
  /** Term of an append that is not answered yet. */
  readonly unanswered: bigint | undefined;
  readonly lastAnswer: AppendResponse | undefined;
}

/**
 * An acceptor of one timeline. A value: {@link file://./acceptor.ts} makes the next one from it. It runs ahead of the disk
 * by the steps handed out with it, so after a step that failed it must be thrown away and opened again.
 */
export interface AcceptorState {
  readonly identity: AcceptorIdentity;
  readonly startTracking: StartTracking;
  /** What the file holds. */
  readonly record: AcceptorRecord;
  /** In memory; the record's follows later. */
  readonly commitLsn: Lsn;
  readonly peerHorizonLsn: Lsn;
  /** Next byte position that is accepted. */
  readonly writtenEnd: Lsn;
  /** End of the last whole record that is durable. */
  readonly flushLsn: Lsn;
  /** Bytes were written since the last flush. */
  readonly dirty: boolean;
  /** Undefined until an `e` has cut the tail: no WAL is accepted before (contract: storage-protocols.md 5.7.2). */
  readonly tracker: RecordTracker | undefined;
  readonly connections: ReadonlyMap<number, AcceptorConnection>;
  readonly hotStandby: HotStandbyFeedback;
  /** When the commit LSN was last stored, in milliseconds of the caller's clock. */
  readonly commitStoredAt: number;
}

/** The record of a timeline that was created with a start LSN: its history is one entry of term 0. */
export function newTimelineRecord(startLsn: Lsn, server: ServerInfo): AcceptorRecord {
  return {
    term: 0n,
    history: [{ term: 0n, lsn: startLsn }],
    server,
    timelineStartLsn: startLsn,
    localStartLsn: startLsn,
    commitLsn: startLsn,
    peerHorizonLsn: startLsn,
  };
}

/**
 * An acceptor as it comes up. `scannedEnd` is the end of the last whole record found by a scan from the stored commit LSN,
 * after everything in the WAL directory was fsynced; it is ignored when the stored commit LSN is 0, which means "no WAL".
 */
export function openAcceptor(
  identity: AcceptorIdentity,
  record: AcceptorRecord,
  scannedEnd: Lsn,
  startTracking: StartTracking,
  now: number,
): AcceptorState {
  const found = record.commitLsn === 0n ? 0n : scannedEnd;
  const flushLsn = found > record.timelineStartLsn ? found : record.timelineStartLsn;
  return {
    identity,
    startTracking,
    record,
    commitLsn: record.commitLsn,
    peerHorizonLsn: record.peerHorizonLsn,
    writtenEnd: flushLsn,
    flushLsn,
    dirty: false,
    tracker: undefined,
    connections: new Map(),
    hotStandby: NO_HOT_STANDBY,
    commitStoredAt: now,
  };
}
