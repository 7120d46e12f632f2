/** What one round of the monitor saw. Our own sessions and our own WAL stream are not in it. */
export interface Observation {
  /** Sums over user databases; any difference, up or down, is activity (contract: lifecycle.md 15.2 row 1). */
  readonly statistics: SessionStatistics;
  /** Client sessions that are doing something, idle transactions included. */
  readonly busySessions: number;
  /** Latest change of state among the idle client sessions; null without any. */
  readonly idleSince: Date | null;
  readonly walSenders: number;
  readonly subscriptions: number;
  readonly autovacuumWorkers: number;
}

export interface SessionStatistics {
  /** Milliseconds. */
  readonly activeTime: number;
  readonly sessions: number;
}

export type Verdict =
  | { readonly kind: "active_now" }
  | { readonly kind: "active_until"; readonly at: Date }
  | { readonly kind: "quiet" };

/**
 * Whether users are at work; the first hit in the contract's order decides (lifecycle.md 15.2).
 *
 * @param base the statistics to compare with; undefined when they do not count, as in the first round
 * @param lastActive an idle session counts only when it became idle later than that
 */
export function judge(seen: Observation, base: SessionStatistics | undefined, lastActive: Date | null): Verdict {
  const { statistics, idleSince } = seen;
  if (base !== undefined && (base.activeTime !== statistics.activeTime || base.sessions !== statistics.sessions))
    return { kind: "active_now" };
  if (seen.busySessions > 0) return { kind: "active_now" };
  if (idleSince !== null && (lastActive === null || idleSince > lastActive))
    return { kind: "active_until", at: idleSince };
  if (seen.walSenders > 0 || seen.subscriptions > 0 || seen.autovacuumWorkers > 0) return { kind: "active_now" };
  return { kind: "quiet" };
}
