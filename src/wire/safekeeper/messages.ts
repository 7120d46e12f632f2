import type { Lsn } from "../lsn.ts";
import type { Configuration } from "./configuration.ts";
import type { PageserverFeedback } from "./feedback.ts";
import type { TermHistory } from "./history.ts";

/** Most WAL bytes one append may carry (contract: storage-protocols.md 5.4). */
export const MAX_APPEND_BYTES = 131_072;

/** What the replicas reported with `h`: all 0 when there are none. */
export interface HotStandbyFeedback {
  /** Microseconds since 2000-01-01 00:00 UTC. */
  readonly time: bigint;
  /** epoch << 32 | xid. */
  readonly xmin: bigint;
  readonly catalogXmin: bigint;
}

export const NO_HOT_STANDBY: HotStandbyFeedback = { time: 0n, xmin: 0n, catalogXmin: 0n };

/** `g` of a compute. Ids are 32 lower-case hex digits; `systemId` is 0 in sync mode. */
export interface ProposerGreeting {
  readonly type: "greeting";
  readonly tenantId: string;
  readonly timelineId: string;
  readonly conf: Configuration;
  /** server_version_num, such as 170005. */
  readonly pgVersion: number;
  readonly systemId: bigint;
  /** Bytes. */
  readonly walSegSize: number;
}

/** `v` of a compute. */
export interface VoteRequest {
  readonly type: "vote_request";
  readonly generation: number;
  readonly term: bigint;
}

/** `e`: the sender won `term`; its whole history, own entry last, never empty. */
export interface ProposerElected {
  readonly type: "elected";
  readonly generation: number;
  readonly term: bigint;
  readonly startStreamingAt: Lsn;
  readonly history: TermHistory;
}

/** `a` of a compute; `wal` holds exactly `endLsn - beginLsn` bytes and may be empty (heartbeat, news of a commit). */
export interface AppendRequest {
  readonly type: "append";
  readonly generation: number;
  readonly term: bigint;
  readonly beginLsn: Lsn;
  readonly endLsn: Lsn;
  readonly commitLsn: Lsn;
  readonly truncateLsn: Lsn;
  readonly wal: Uint8Array;
}

/** What a compute sends to a safekeeper, one CopyData each. */
export type ProposerMessage = ProposerGreeting | VoteRequest | ProposerElected | AppendRequest;

/** `g` of a safekeeper; its node id is never 0. */
export interface AcceptorGreeting {
  readonly type: "greeting";
  readonly nodeId: bigint;
  readonly conf: Configuration;
  readonly term: bigint;
}

/** `v` of a safekeeper; `history` holds the entries with lsn <= flushLsn only. */
export interface Vote {
  readonly type: "vote";
  readonly generation: number;
  readonly term: bigint;
  readonly given: boolean;
  readonly flushLsn: Lsn;
  readonly truncateLsn: Lsn;
  readonly history: TermHistory;
}

/** `a` of a safekeeper; `commitLsn` is the value on its disk. All LSNs are 0 when only the (higher) term matters. */
export interface AppendResponse {
  readonly type: "append_response";
  readonly generation: number;
  readonly term: bigint;
  readonly flushLsn: Lsn;
  readonly commitLsn: Lsn;
  readonly hotStandby: HotStandbyFeedback;
  readonly feedback?: PageserverFeedback;
}

/** What a safekeeper sends to a compute, one CopyData each. */
export type AcceptorMessage = AcceptorGreeting | Vote | AppendResponse;

/** One version of the protocol. Both versions carry the same values; version 2 knows neither generation nor conf. */
export interface SafekeeperCodec {
  readonly version: 2 | 3;
  encodeProposerMessage(message: ProposerMessage): Buffer;
  /** Bytes behind the last field are ignored, missing ones are an error. `wal` is a view of `bytes`, not a copy. */
  decodeProposerMessage(bytes: Uint8Array): ProposerMessage;
  /** The bytes before the WAL of an append, so that the WAL itself need not be copied. */
  encodeAppendHeader(message: AppendRequest): Buffer;
  encodeAcceptorMessage(message: AcceptorMessage): Buffer;
  /** Missing and surplus bytes are errors, as in Neon's Postgres. */
  decodeAcceptorMessage(bytes: Uint8Array): AcceptorMessage;
}
