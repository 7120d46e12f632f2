import { CodedError, errorChain } from "../../errors/coded_error.ts";
import { statusText } from "../../http/compute_status.ts";
import type { ComputeMetrics } from "../../telemetry/compute_metrics.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { ComputeState } from "../compute_state.ts";
import type { State } from "../state_table.ts";
import { judge, type SessionStatistics } from "./activity.ts";
import { DowntimeMeter } from "./downtime.ts";
import type { MonitorSession } from "./session.ts";

const POLL_MS = 500;
/** A Postgres that hangs is down: longer than this no round takes. */
const ROUND_LIMIT_MS = 5_000;

/** In these Postgres is gone or going; after a failed reconfiguration it lives (contract: lifecycle.md 14). */
const OVER: ReadonlySet<State> = new Set<State>([
  "start_failed",
  "termination_pending_fast",
  "termination_pending_immediate",
  "terminated",
]);

interface MonitorClock {
  /** Milliseconds since 1970. */
  wall(): number;
  /** Milliseconds, from anywhere, never backwards. */
  monotonic(): number;
  sleep(ms: number, signal: AbortSignal): Promise<unknown>;
}

export interface MonitorOptions {
  readonly open: (limitMs: number) => Promise<MonitorSession>;
  readonly state: Pick<ComputeState, "state" | "status" | "reach">;
  /** Feature `activity_monitor_experimental` of the first spec: also short sessions count, through the statistics. */
  readonly statistics: boolean;
  /** True when sessions of our own may have changed the statistics since the last call. */
  readonly disturbed: () => boolean;
  /** What is found out: `lastActive` is only ever moved forward. */
  readonly activity: { lastActive: Date | null; answers: boolean };
  readonly metrics: Pick<ComputeMetrics, "currentDowntimeMs" | "downtimeMs">;
  readonly clock: MonitorClock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/**
 * Watches whether Postgres answers and whether anybody uses it, until the compute ends. It stops and restarts nothing
 * (contract: lifecycle.md 15). Never rejects.
 */
export async function runMonitor(options: MonitorOptions): Promise<void> {
  const log = options.log.span("compute_monitor");
  try {
    await options.state.reach(["running", ...OVER], options.signal);
    await watch({ ...options, log });
  } catch (error) {
    if (!options.signal.aborted) log.error(`compute monitor failed: ${errorChain(error)}`);
  }
  log.info("compute monitor thread terminated gracefully");
}

async function watch(options: MonitorOptions): Promise<void> {
  const { state, clock, log, signal } = options;
  const downtime = new Downtime(options);
  let session: MonitorSession | undefined;
  let base: SessionStatistics | undefined;
  try {
    for (;;) {
      if (OVER.has(state.state)) {
        log.info(`compute is in ${statusText(state.status)} status, stopping compute monitor`);
        return;
      }
      if (session?.closed) {
        downtime.add("info", "connection to Postgres is closed, trying to reconnect");
        session = undefined;
      }
      const limit = clock.monotonic() + ROUND_LIMIT_MS;
      const left = (): number => Math.max(1, limit - clock.monotonic());
      session ??= await open(options, left(), downtime);
      if (session !== undefined) {
        try {
          base = await round(session, base, left(), options);
          downtime.none();
        } catch (error) {
          signal.throwIfAborted();
          downtime.add("error", `could not check Postgres: ${errorChain(error)}`);
          session.close();
          session = undefined;
        }
      }
      await clock.sleep(POLL_MS, signal);
    }
  } finally {
    session?.close();
  }
}

async function open(options: MonitorOptions, ms: number, downtime: Downtime): Promise<MonitorSession | undefined> {
  try {
    return await options.open(ms);
  } catch (error) {
    options.signal.throwIfAborted();
    downtime.add("info", `could not connect to Postgres: ${errorChain(error)}, retrying`);
    return undefined;
  }
}

/** @returns the statistics that the next round compares with */
async function round(
  session: MonitorSession,
  base: SessionStatistics | undefined,
  limitMs: number,
  options: MonitorOptions,
): Promise<SessionStatistics> {
  const { activity, clock, signal } = options;
  const seen = await within(limitMs, session.look(), clock, signal);
  // Asked after the look: a session of ours that came in between is counted against the next round as well.
  const comparable = options.statistics && !options.disturbed();
  const verdict = judge(seen, comparable ? base : undefined, activity.lastActive);
  if (verdict.kind !== "quiet") {
    const now = clock.wall();
    // Postgres' clock is ours, but it may have been set back since.
    const at = verdict.kind === "active_now" ? now : Math.min(verdict.at.getTime(), now);
    if (activity.lastActive === null || at > activity.lastActive.getTime()) activity.lastActive = new Date(at);
  }
  return seen.statistics;
}

async function within<T>(ms: number, work: Promise<T>, clock: MonitorClock, signal: AbortSignal): Promise<T> {
  const done = new AbortController();
  const limit = clock.sleep(ms, AbortSignal.any([signal, done.signal])).then(() => {
    throw new CodedError("monitor_timeout", `no answer within ${Math.round(ms)} ms`);
  });
  // Whichever loses the race is not waited for.
  work.catch(() => undefined);
  limit.catch(() => undefined);
  try {
    return await Promise.race([work, limit]);
  } finally {
    done.abort();
  }
}

/** Outages, as metrics and in the log. */
class Downtime {
  readonly #options: MonitorOptions;
  readonly #meter: DowntimeMeter;
  #lastUp: number;
  #totalMs = 0;

  constructor(options: MonitorOptions) {
    this.#options = options;
    this.#meter = new DowntimeMeter(options.clock.monotonic());
    this.#lastUp = options.clock.wall();
  }

  none(): void {
    const { clock, metrics, activity } = this.#options;
    activity.answers = true;
    this.#meter.up(clock.monotonic());
    this.#lastUp = clock.wall();
    metrics.currentDowntimeMs.set(0);
  }

  add(level: "info" | "error", message: string): void {
    const { clock, metrics, log, activity } = this.#options;
    activity.answers = false;
    const { currentMs, addedMs } = this.#meter.down(clock.monotonic());
    this.#totalMs += addedMs;
    metrics.currentDowntimeMs.set(currentMs);
    metrics.downtimeMs.inc(addedMs);
    const lastUp = new Date(this.#lastUp).toISOString();
    log[level](message, { downtime_info: `total_ms: ${this.#totalMs}, current_ms: ${currentMs}, last_up: ${lastUp}` });
  }
}
