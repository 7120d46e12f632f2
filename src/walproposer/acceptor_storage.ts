import type { Lsn } from "../wire/lsn.ts";
import { type AppendResponse, NO_HOT_STANDBY } from "../wire/safekeeper/messages.ts";
import type { AcceptorConnection, AcceptorRecord, AcceptorState } from "./acceptor_state.ts";
import type { AcceptorStep } from "./acceptor_step.ts";

/** Makes all received WAL durable, a piece of a record at its end included. */
export function flushWritten(state: AcceptorState, steps: AcceptorStep[]): AcceptorState {
  if (!state.dirty) return state;
  steps.push({ kind: "flush" });
  return { ...state, dirty: false, flushLsn: trackedEnd(state) };
}

/** Makes WAL durable if that moves flush_lsn, which a piece of a record alone does not. */
export function flushWholeRecords(state: AcceptorState, steps: AcceptorStep[]): AcceptorState {
  return trackedEnd(state) > state.flushLsn ? flushWritten(state, steps) : state;
}

/** Replaces the state file. */
export function persist(state: AcceptorState, record: AcceptorRecord, steps: AcceptorStep[]): AcceptorState {
  steps.push({ kind: "persist", record });
  return { ...state, record };
}

/** Stores the commit LSN and the horizon that are in memory. */
export function storeCommit(state: AcceptorState, steps: AcceptorStep[], now: number): AcceptorState {
  const record = { ...state.record, commitLsn: state.commitLsn, peerHorizonLsn: state.peerHorizonLsn };
  return { ...persist(state, record, steps), commitStoredAt: now };
}

/** Answers an append. Steps that make what it says durable must have been pushed before. */
export function answerAppend(
  state: AcceptorState,
  to: number,
  connection: AcceptorConnection,
  steps: AcceptorStep[],
): AcceptorState {
  const { term, commitLsn } = state.record;
  const message: AppendResponse =
    connection.unanswered === term
      ? {
          type: "append_response",
          generation: 0,
          term,
          flushLsn: state.flushLsn,
          commitLsn,
          hotStandby: state.hotStandby,
        }
      : termOnlyAnswer(term);
  steps.push({ kind: "send", connection: to, message });
  return setConnection(state, to, { ...connection, unanswered: undefined, lastAnswer: message });
}

/** Tells an outdated proposer the term that replaced its own, and nothing about the log. */
export function termOnlyAnswer(term: bigint): AppendResponse {
  return { type: "append_response", generation: 0, term, flushLsn: 0n, commitLsn: 0n, hotStandby: NO_HOT_STANDBY };
}

export function setConnection(state: AcceptorState, id: number, connection: AcceptorConnection): AcceptorState {
  return { ...state, connections: new Map(state.connections).set(id, connection) };
}

function trackedEnd(state: AcceptorState): Lsn {
  const end = state.tracker?.recordEnd ?? state.flushLsn;
  return end > state.flushLsn ? end : state.flushLsn;
}
