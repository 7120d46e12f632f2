import { sendSignal } from "./wait_for_exit.ts";

/** One rung: a signal, and how long it has. */
export interface ExitRung {
  readonly signal: NodeJS.Signals;
  readonly waitMs: number;
}

/** The rungs of `neon-store`: it only has to finish what it writes. */
export const STORE_RUNGS: readonly ExitRung[] = [{ signal: "SIGTERM", waitMs: 10_000 }];
/** The rungs of `compute_ctl`: 30 s for a fast stop of Postgres, 5 s for an immediate one (contract: neon-local.md A3). */
export const COMPUTE_RUNGS: readonly ExitRung[] = [
  { signal: "SIGTERM", waitMs: 30_000 },
  { signal: "SIGQUIT", waitMs: 5_000 },
];

const FORCED_MS = 5_000;

/**
 * Ends a child of ours: rung by rung, then SIGKILL to its process group. Resolves when it has exited.
 *
 * @param force when aborted, the last rung comes at once, with at most 5 s
 */
export async function endChild(
  pid: number,
  exited: Promise<unknown>,
  rungs: readonly ExitRung[],
  force: AbortSignal,
): Promise<void> {
  for (const [index, rung] of rungs.entries()) {
    const isLast = index === rungs.length - 1;
    if (force.aborted && !isLast) continue;
    sendSignal(pid, rung.signal);
    if (!force.aborted && (await settlesWithin(exited, rung.waitMs, force))) return;
    // Not asked again by the same signal, but also who is hastened gets a moment.
    if (isLast && force.aborted && (await settlesWithin(exited, Math.min(rung.waitMs, FORCED_MS)))) return;
  }
  sendSignal(-pid, "SIGKILL");
  await exited;
}

async function settlesWithin(exited: Promise<unknown>, ms: number, force?: AbortSignal): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), ms);
  const onForce = (): void => resolve(false);
  force?.addEventListener("abort", onForce, { once: true });
  void exited.then(() => resolve(true));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    force?.removeEventListener("abort", onForce);
  }
}
