import { CodedError } from "../errors/coded_error.ts";
import { formatLsn } from "../wire/lsn.ts";
import type { AppendRequest } from "../wire/safekeeper/messages.ts";
import type { AcceptorConnection, AcceptorState } from "./acceptor_state.ts";
import type { AcceptorStep, AcceptorTransition } from "./acceptor_step.ts";
import { answerAppend, flushWritten, setConnection, storeCommit, termOnlyAnswer } from "./acceptor_storage.ts";
import { earlier, later } from "./lsn_order.ts";
import type { RecordTracker } from "./record_tracker.ts";

/**
 * `a`: WAL at exactly the written end, or nothing but news of a commit (contract: storage-protocols.md 5.7.3). Answered when
 * the connection's queue empties, or at once when a segment was filled and flush_lsn moved.
 */
export function append(
  state: AcceptorState,
  from: number,
  connection: AcceptorConnection,
  message: AppendRequest,
  now: number,
): AcceptorTransition {
  const steps: AcceptorStep[] = [];
  const { term, history } = state.record;
  if (term > message.term) {
    steps.push({ kind: "send", connection: from, message: termOnlyAnswer(term) });
    return { state, steps };
  }
  // Stricter than upstream: a vote alone is not enough, the `e` of this very term must have cut and adopted the history.
  const tracker = state.tracker;
  if (term < message.term || history.at(-1)?.term !== message.term || !tracker)
    throw new CodedError(
      "append_before_elected",
      `got AppendRequest before ProposerElected: term ${message.term}, own term ${term}`,
      { status: 409 },
    );
  if (message.beginLsn !== state.writtenEnd)
    throw new CodedError(
      "append_out_of_order",
      `refusing WAL that begins at ${formatLsn(message.beginLsn)}: the written end is ${formatLsn(state.writtenEnd)}`,
      { status: 409 },
    );

  let next = write(state, tracker, message, steps);
  const { walSegSize } = next.record.server;
  const filled = segment(message.beginLsn, walSegSize) !== segment(message.endLsn, walSegSize);
  if (filled) next = flushWritten(next, steps);
  next = commit(next, message, steps, now);
  const waiting = { ...connection, unanswered: message.term };
  if (filled && next.flushLsn > state.flushLsn) return { state: answerAppend(next, from, waiting, steps), steps };
  return { state: setConnection(next, from, waiting), steps };
}

/** Nothing that is not WAL gets written: the bytes are followed first. */
function write(
  state: AcceptorState,
  tracker: RecordTracker,
  message: AppendRequest,
  steps: AcceptorStep[],
): AcceptorState {
  if (message.wal.length === 0) return state;
  let advanced: RecordTracker;
  try {
    advanced = tracker.advance(message.wal);
  } catch (error) {
    throw new CodedError(
      "wal_invalid",
      `refusing WAL ${formatLsn(message.beginLsn)}..${formatLsn(message.endLsn)}: ${error instanceof Error ? error.message : String(error)}`,
      { status: 409, cause: error },
    );
  }
  steps.push({ kind: "write", lsn: message.beginLsn, bytes: message.wal });
  return { ...state, tracker: advanced, writtenEnd: message.endLsn, dirty: true };
}

function commit(state: AcceptorState, message: AppendRequest, steps: AcceptorStep[], now: number): AcceptorState {
  const peerHorizonLsn = later(state.peerHorizonLsn, message.truncateLsn);
  if (message.commitLsn === 0n) return { ...state, peerHorizonLsn };
  const commitLsn = earlier(later(message.commitLsn, state.commitLsn), state.flushLsn);
  const next = { ...state, peerHorizonLsn, commitLsn };
  if (commitLsn > state.commitLsn) steps.push({ kind: "committed", lsn: commitLsn });
  const stored = state.record.commitLsn;
  const termStart = state.record.history.at(-1)?.lsn ?? 0n;
  // Syncing without new WAL waits for the stored value to reach the term's start (contract: storage-protocols.md 5.9).
  const reachedTerm = stored < termStart && commitLsn >= termStart;
  const segmentAhead = commitLsn - stored >= BigInt(state.record.server.walSegSize);
  return reachedTerm || segmentAhead ? storeCommit(next, steps, now) : next;
}

function segment(lsn: bigint, walSegSize: number): bigint {
  return lsn / BigInt(walSegSize);
}
