import { setTimeout as sleep } from "node:timers/promises";
import { errorChain } from "../errors/coded_error.ts";
import type { Connect } from "../reconcile/session.ts";
import type { ComputeMetrics } from "../telemetry/compute_metrics.ts";
import type { Logger } from "../telemetry/log.ts";

const DEFAULT_SECONDS = 3_600;
/** Timers end at 2^31 ms. */
const MOST_SECONDS = 1_000_000;

/** Seconds between two looks by a spec's `suspend_timeout_seconds`; what is no time means the default (contract: lifecycle.md 12.1). */
export function censusInterval(suspendTimeoutSeconds: number): number {
  return suspendTimeoutSeconds > 0 ? Math.min(suspendTimeoutSeconds, MOST_SECONDS) : DEFAULT_SECONDS;
}

export interface ExtensionCensusOptions {
  readonly connect: Connect;
  readonly database: string;
  readonly metrics: Pick<ComputeMetrics, "installedExtensions">;
  /** Seconds, as of now: a new spec may bring another. */
  readonly interval: () => number;
  /** Whether to look at once too: on a primary. */
  readonly atOnce: boolean;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/**
 * Counts the extensions of all databases, again and again; each look opens a session in each of them, so the pause is twice
 * the interval (contract: metrics-and-logs.md 4). Never rejects.
 */
export async function runExtensionCensus(options: ExtensionCensusOptions): Promise<void> {
  const { interval, atOnce, log, signal } = options;
  let period = 2 * interval();
  log.info(`[NEON_EXT_SPAWN] Spawning background installed extensions worker with Timeout: ${period}`);
  try {
    if (atOnce) await takeCensus(options);
    for (;;) {
      await sleep(period * 1000, undefined, { signal });
      await takeCensus(options);
      period = Math.max(period, 2 * interval());
      log.info(`[NEON_EXT_INT_SLEEP]: Interval: ${period}`);
    }
  } catch (error) {
    if (!signal.aborted) log.error(`could not get installed extensions: ${errorChain(error)}`);
  }
}

/** One look; a failure is logged and leaves the metric as it is. */
export async function takeCensus(
  options: Pick<ExtensionCensusOptions, "connect" | "database" | "metrics" | "log" | "signal">,
): Promise<void> {
  const { connect, database, metrics, log, signal } = options;
  try {
    const { readInstalledExtensions } = await import("../reconcile/readers/installed_extensions.ts");
    const census = await readInstalledExtensions(connect, database);
    // The whole family at once: what is installed nowhere any more must not stay.
    metrics.installedExtensions.reset();
    for (const { extname, version, owned_by_superuser, n_databases } of census.extensions)
      metrics.installedExtensions.set({ extension_name: extname, owned_by_superuser, version }, n_databases);
    log.info(`[NEON_EXT_STAT] ${JSON.stringify(census)}`);
  } catch (error) {
    if (!signal.aborted) log.error(`could not get installed extensions: ${errorChain(error)}`);
  }
}
