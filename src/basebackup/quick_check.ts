import { errorChain } from "../errors/coded_error.ts";
import type { Lsn } from "../wire/lsn.ts";
import { type TimelineStatus, type TimelineStatusOptions, timelineStatus } from "./safekeeper_status.ts";

/** Budget for each safekeeper, the connect included. */
const QUICK_CHECK_MS = 100;

export type SyncDecision =
  /** More answers are needed. */
  | { readonly kind: "undecided" }
  /** A quorum stands at one LSN, all of it committed; `0/0` counts. */
  | { readonly kind: "synced"; readonly lsn: Lsn }
  /** A quorum answered, but not alike: full sync. */
  | { readonly kind: "differ" }
  /** A quorum failed, or nobody is left who could make one: full sync, and worth an error line. */
  | { readonly kind: "no_quorum" };

/**
 * Whether `n` safekeepers need a full sync (contract: lifecycle.md 7.2).
 *
 * @param answers in the order of arrival; null: the timeline is unknown there
 */
export function decideSynced(answers: readonly (TimelineStatus | null)[], failures: number, n: number): SyncDecision {
  const quorum = Math.floor(n / 2) + 1;
  if (answers.length >= quorum) {
    const lsn = answers[0]?.commitLsn;
    const alike = answers.every((answer) => answer?.commitLsn === lsn && answer?.flushLsn === lsn);
    return alike && lsn !== undefined ? { kind: "synced", lsn } : { kind: "differ" };
  }
  if (failures >= quorum || answers.length + failures >= n) return { kind: "no_quorum" };
  return { kind: "undecided" };
}

export interface QuickCheckOptions extends Omit<TimelineStatusOptions, "safekeeper" | "timeoutMs"> {
  /** `host:port` each. */
  readonly safekeepers: readonly string[];
  readonly timeoutMs?: number;
}

export interface QuickCheckResult {
  readonly decision: Exclude<SyncDecision, { kind: "undecided" }>;
  /** One text for each safekeeper that failed before the decision. */
  readonly failures: readonly string[];
}

/**
 * Asks all safekeepers at once and decides as soon as a quorum has answered or failed; the rest is hung up on. Rejects
 * only when the signal is aborted: trouble means full sync, never failure.
 */
export async function quickCheck(options: QuickCheckOptions): Promise<QuickCheckResult> {
  const { safekeepers, signal, timeoutMs = QUICK_CHECK_MS } = options;
  signal.throwIfAborted();
  const enough = new AbortController();
  const answers: (TimelineStatus | null)[] = [];
  const failures: string[] = [];
  const { promise, resolve } = Promise.withResolvers<QuickCheckResult["decision"]>();
  const decide = (): void => {
    const decision = decideSynced(answers, failures.length, safekeepers.length);
    if (decision.kind !== "undecided") resolve(decision);
  };
  const asked = safekeepers.map(async (safekeeper) => {
    try {
      const merged = AbortSignal.any([signal, enough.signal]);
      const answer = await timelineStatus({ ...options, safekeeper, timeoutMs, signal: merged });
      if (!enough.signal.aborted) answers.push(answer);
    } catch (error) {
      if (!enough.signal.aborted) failures.push(`${safekeeper}: ${errorChain(error)}`);
    }
    if (!enough.signal.aborted) decide();
  });
  decide();
  const decision = await promise;
  enough.abort();
  await Promise.all(asked);
  signal.throwIfAborted();
  return { decision, failures };
}
