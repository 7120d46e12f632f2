import type { CodedError } from "../errors/coded_error.ts";
import type { Lsn } from "../wire/lsn.ts";
import type { PageserverFeedback } from "../wire/safekeeper/feedback.ts";
import type { AcceptorMessage, HotStandbyFeedback, ProposerMessage } from "../wire/safekeeper/messages.ts";
import type { AcceptorRecord, AcceptorState, ServerInfo } from "./acceptor_state.ts";

/** What an acceptor is told. `connection` is a number of the caller's choice, never used twice. */
export type AcceptorInput =
  | { readonly type: "connected"; readonly connection: number }
  | { readonly type: "message"; readonly connection: number; readonly message: ProposerMessage }
  /** No further message of this connection is at hand: the moment to fsync and answer. */
  | { readonly type: "queue_empty"; readonly connection: number }
  | { readonly type: "disconnected"; readonly connection: number }
  /** About every second: answers what a queue that never empties holds back, and stores the commit LSN now and then. */
  | { readonly type: "tick" }
  /** What the replicas report together; it travels with the next answers. */
  | { readonly type: "hot_standby"; readonly hotStandby: HotStandbyFeedback }
  /** A pageserver reported: every connection gets its last answer again with this appended. */
  | { readonly type: "pageserver_feedback"; readonly feedback: PageserverFeedback };

/**
 * What the driver does, strictly in this order, each finished before the next begins. A crash between any two must be
 * survivable, so the order is part of the protocol. When one fails, the rest is dropped and the acceptor opened again.
 */
export type AcceptorStep =
  /** Replace the state file: durable when done. */
  | { readonly kind: "persist"; readonly record: AcceptorRecord }
  /** First WAL of a timeline: make the start of the segment that holds `lsn`, as a base backup has it, durably. */
  | { readonly kind: "initialise"; readonly lsn: Lsn; readonly server: ServerInfo }
  /** Remove later segments, zero the rest of this one from `lsn` on: durable when done. */
  | { readonly kind: "truncate"; readonly lsn: Lsn }
  /** Write at `lsn`; need not be durable before a `flush`. The bytes are a view of the message. */
  | { readonly kind: "write"; readonly lsn: Lsn; readonly bytes: Uint8Array }
  /** Make all that was written durable. */
  | { readonly kind: "flush" }
  | { readonly kind: "send"; readonly connection: number; readonly message: AcceptorMessage }
  /** ErrorResponse, then close; drop what else this connection sent. */
  | { readonly kind: "close"; readonly connection: number; readonly error: CodedError }
  /** Another proposer writes from now on: whoever reads past the commit LSN must be dropped. */
  | { readonly kind: "writer_changed"; readonly term: bigint }
  /** The commit LSN (in memory) rose: readers may go on. */
  | { readonly kind: "committed"; readonly lsn: Lsn }
  | { readonly kind: "log"; readonly level: "info" | "warn"; readonly message: string };

export interface AcceptorTransition {
  readonly state: AcceptorState;
  readonly steps: readonly AcceptorStep[];
}
