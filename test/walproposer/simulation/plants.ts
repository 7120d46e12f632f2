import { advanceAcceptor } from "../../../src/walproposer/acceptor.ts";
import type { AcceptorStep } from "../../../src/walproposer/acceptor_step.ts";

/**
 * A mistake built in on purpose: the simulation is only worth something if it finds each of these. Production code has no
 * switches for them; they bend what goes in and comes out.
 */
export interface Plant {
  readonly steps?: (steps: readonly AcceptorStep[]) => readonly AcceptorStep[];
  readonly advance?: typeof advanceAcceptor;
  /** The compute believes whichever acceptor is ahead. */
  readonly commitFromOne?: true;
}

const answersFirst = (type: "vote" | "append_response") => (steps: readonly AcceptorStep[]) => {
  const isAnswer = (step: AcceptorStep) => step.kind === "send" && step.message.type === type;
  return [...steps.filter(isAnswer), ...steps.filter((step) => !isAnswer(step))];
};

export const PLANTS = {
  "vote before fsync": { steps: answersFirst("vote") },
  "acknowledge before fsync": { steps: answersFirst("append_response") },
  "no term check on append": {
    advance(state, input, now) {
      const { term } = state.record;
      if (input.type !== "message" || input.message.type !== "append" || input.message.term >= term)
        return advanceAcceptor(state, input, now);
      const back = { ...state, record: { ...state.record, term: input.message.term } };
      const appended = advanceAcceptor(back, input, now);
      const done = advanceAcceptor(appended.state, { type: "queue_empty", connection: input.connection }, now);
      const steps = [...appended.steps, ...done.steps].map((step) =>
        step.kind === "persist" ? { ...step, record: { ...step.record, term } } : step,
      );
      return { state: { ...done.state, record: { ...done.state.record, term } }, steps };
    },
  },
  "truncate after history": {
    steps(steps) {
      const isCut = (step: AcceptorStep) => step.kind === "truncate";
      return [...steps.filter((step) => !isCut(step)), ...steps.filter(isCut)];
    },
  },
  "commit from one acceptor": { commitFromOne: true },
} satisfies Record<string, Plant>;
