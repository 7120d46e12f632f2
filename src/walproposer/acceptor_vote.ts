import type { VoteRequest } from "../wire/safekeeper/messages.ts";
import type { AcceptorState } from "./acceptor_state.ts";
import type { AcceptorStep, AcceptorTransition } from "./acceptor_step.ts";
import { flushWritten, persist } from "./acceptor_storage.ts";
import { cutHistory } from "./term_history.ts";

/**
 * `v`: one vote a term (contract: storage-protocols.md 5.7.3). WAL is flushed first, so that nothing of an older term can
 * become part of flush_lsn after the answer; the term is durable before it is promised.
 */
export function vote(state: AcceptorState, from: number, message: VoteRequest): AcceptorTransition {
  const steps: AcceptorStep[] = [];
  let next = flushWritten(state, steps);
  const given = next.record.term < message.term;
  if (given) next = persist(next, { ...next.record, term: message.term }, steps);
  steps.push({
    kind: "send",
    connection: from,
    message: {
      type: "vote",
      generation: 0,
      term: next.record.term,
      given,
      flushLsn: next.flushLsn,
      truncateLsn: next.peerHorizonLsn,
      history: cutHistory(next.record.history, next.flushLsn),
    },
  });
  return { state: next, steps };
}
