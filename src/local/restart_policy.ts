/** What is remembered of a child's unexpected ends; times in milliseconds of any one clock. */
export interface RestartHistory {
  readonly failures: readonly number[];
  /** Failures since it was last healthy for long. */
  readonly streak: number;
}

export type RestartDecision = { readonly kind: "restart"; readonly delayMs: number } | { readonly kind: "give_up" };

export const NO_FAILURES: RestartHistory = { failures: [], streak: 0 };

const HEALTHY_MS = 5 * 60_000;
const WINDOW_MS = 10 * 60_000;
const MAX_FAILURES = 5;
const MAX_DELAY_MS = 60_000;

/**
 * What to do about a child that ended unexpectedly: again after 1, 2, 4 … 60 s, not any more at the fifth failure in ten
 * minutes; five minutes of health and all is forgotten (contract: neon-local.md A3).
 *
 * @param at when it ended
 * @param readySince when it became ready; undefined when it never did
 */
export function afterFailure(
  history: RestartHistory,
  at: number,
  readySince: number | undefined,
): { readonly history: RestartHistory; readonly decision: RestartDecision } {
  const before = readySince !== undefined && at - readySince >= HEALTHY_MS ? NO_FAILURES : history;
  const failures = [...before.failures.filter((time) => at - time < WINDOW_MS), at];
  const decision: RestartDecision =
    failures.length >= MAX_FAILURES
      ? { kind: "give_up" }
      : { kind: "restart", delayMs: Math.min(1000 * 2 ** before.streak, MAX_DELAY_MS) };
  return { history: { failures, streak: before.streak + 1 }, decision };
}
