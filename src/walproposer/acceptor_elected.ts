import { CodedError } from "../errors/coded_error.ts";
import { formatLsn } from "../wire/lsn.ts";
import type { ProposerElected } from "../wire/safekeeper/messages.ts";
import type { AcceptorState } from "./acceptor_state.ts";
import type { AcceptorStep, AcceptorTransition } from "./acceptor_step.ts";
import { persist } from "./acceptor_storage.ts";
import { later } from "./lsn_order.ts";
import { streamingStart } from "./term_history.ts";

/**
 * `e`: cut the log to what it shares with the winner's history, then adopt that history (contract: storage-protocols.md
 * 5.7.2, 5.7.3). The cut is durable before the history: a crash between them leaves a shorter log with an older history,
 * which is harmless; the other order would make a foreign tail look like WAL of the new term. There is no answer.
 */
export function acceptElected(state: AcceptorState, message: ProposerElected, now: number): AcceptorTransition {
  const steps: AcceptorStep[] = [];
  if (state.record.term > message.term) return { state, steps };
  checkStart(state, message);
  let next = state;
  const start = message.startStreamingAt;
  if (next.record.term < message.term) next = persist(next, { ...next.record, term: message.term }, steps);
  const newWriter = next.record.history.at(-1)?.term !== message.term;
  if (newWriter) steps.push({ kind: "writer_changed", term: message.term });
  if (next.record.timelineStartLsn === 0n && next.flushLsn === 0n)
    steps.push({ kind: "initialise", lsn: start, server: next.record.server });
  steps.push({ kind: "truncate", lsn: start });

  const { timelineStartLsn: known, localStartLsn, server, term } = next.record;
  const first = message.history[0]?.lsn ?? start;
  const timelineStartLsn = known === 0n ? first : known;
  const commitLsn = later(next.commitLsn, timelineStartLsn);
  const peerHorizonLsn = known === 0n ? timelineStartLsn : next.peerHorizonLsn;
  next = persist(
    next,
    {
      term,
      history: message.history,
      server,
      timelineStartLsn,
      localStartLsn: known === 0n ? start : localStartLsn,
      commitLsn,
      peerHorizonLsn,
    },
    steps,
  );
  return {
    state: {
      ...next,
      commitLsn,
      peerHorizonLsn,
      writtenEnd: start,
      flushLsn: start,
      dirty: false,
      tracker: next.startTracking(start),
      commitStoredAt: now,
    },
    steps,
  };
}

/** A late `e` of an older connection, or a proposer that would undo what was committed: nothing is touched. */
function checkStart(state: AcceptorState, message: ProposerElected): void {
  const start = message.startStreamingAt;
  const point = streamingStart(message.history, state.record.history, state.flushLsn);
  if (start !== point)
    throw new CodedError(
      "start_not_common_point",
      `refusing to start streaming at ${formatLsn(start)}: the histories part at ${formatLsn(point)}`,
      { status: 409 },
    );
  if (start < state.commitLsn)
    throw new CodedError(
      "start_below_commit",
      `refusing to start streaming at ${formatLsn(start)}: WAL up to ${formatLsn(state.commitLsn)} is committed`,
      { status: 409 },
    );
  if (state.flushLsn !== 0n && start > state.flushLsn)
    throw new CodedError(
      "start_above_end",
      `refusing to start streaming at ${formatLsn(start)}: WAL ends at ${formatLsn(state.flushLsn)}`,
      { status: 409 },
    );
}
