import { expect, test } from "vitest";
import { ComputeState } from "../../../src/node/compute_state.ts";
import type { Observation } from "../../../src/node/monitor/activity.ts";
import { type MonitorOptions, runMonitor } from "../../../src/node/monitor/monitor.ts";
import type { MonitorSession } from "../../../src/node/monitor/session.ts";
import type { Trigger } from "../../../src/node/state_table.ts";
import { ComputeMetrics } from "../../../src/telemetry/compute_metrics.ts";
import { createLogger } from "../../../src/telemetry/log.ts";

const QUIET: Observation = {
  statistics: { activeTime: 0, sessions: 0 },
  busySessions: 0,
  idleSince: null,
  walSenders: 0,
  subscriptions: 0,
  autovacuumWorkers: 0,
};

/** What Postgres does in one round. */
type Round = Partial<Observation> | "hangs" | "refuses" | "session lost" | ((world: World) => void);

interface World {
  readonly time: { wall: number; monotonic: number };
  readonly state: ComputeState;
}

/** A monitor on a clock that only moves when it sleeps; after the last round it is told to end. */
async function monitor(rounds: readonly Round[], options: { statistics?: boolean; disturbed?: boolean } = {}) {
  const lines: string[] = [];
  const metrics = new ComputeMetrics("latest");
  const log = createLogger({ level: "info", write: (line) => void lines.push(line) });
  const state = new ComputeState(log, metrics);
  for (const trigger of ["spec_at_start", "start_done"] satisfies Trigger[]) state.apply(trigger);
  const end = new AbortController();
  const time = { wall: Date.parse("2026-04-02T12:00:00Z"), monotonic: 1_000 };
  const activity = { lastActive: null as Date | null, answers: true };
  const seen: (string | null)[] = [];
  const left = [...rounds];
  let session: { closed: boolean } | undefined;
  const next = (): Round => left[0] ?? {};
  const open: MonitorOptions["open"] = () => {
    if (next() === "refuses") return Promise.reject(new Error("connection refused"));
    const opened: MonitorSession & { closed: boolean } = {
      closed: false,
      look: () => {
        const round = next();
        if (round === "hangs") return new Promise(() => undefined);
        if (typeof round === "function") round({ time, state });
        return Promise.resolve({ ...QUIET, ...(typeof round === "object" ? round : {}) });
      },
      close: () => {
        opened.closed = true;
      },
    };
    session = opened;
    return Promise.resolve(opened);
  };
  const sleep = async (ms: number, signal: AbortSignal): Promise<void> => {
    if (ms === 500) {
      seen.push(activity.lastActive?.toISOString() ?? null);
      left.shift();
      if (left.length === 0) end.abort();
      if ((left[0] === "session lost" || left[0] === "refuses") && session) session.closed = true;
    } else if (next() !== "hangs") {
      // The limit of a round that is not reached.
      return await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    }
    signal.throwIfAborted();
    time.wall += ms;
    time.monotonic += ms;
  };
  await runMonitor({
    open,
    state,
    statistics: options.statistics ?? false,
    disturbed: () => options.disturbed ?? false,
    activity,
    metrics,
    clock: { wall: () => time.wall, monotonic: () => time.monotonic, sleep },
    log,
    signal: end.signal,
  });
  const text = await metrics.text();
  const value = (name: string): number => Number(new RegExp(`^${name} (.*)$`, "m").exec(text)?.[1]);
  return {
    lines: lines.join(""),
    seen,
    activity,
    time,
    state,
    currentMs: value("compute_pg_current_downtime_ms"),
    totalMs: value("compute_pg_downtime_ms_total"),
  };
}

test("lifecycle.md case 40: without clients nothing is ever active, with and without the feature", async () => {
  for (const statistics of [true, false]) {
    const { activity, totalMs } = await monitor(Array(10).fill({}), { statistics });
    expect([activity.lastActive, totalMs]).toEqual([null, 0]);
  }
});

test("lifecycle.md case 43: with the feature a session between two rounds counts, without it does not", async () => {
  const rounds = [{}, { statistics: { activeTime: 0, sessions: 1 } }];
  expect((await monitor(rounds, { statistics: true })).activity.lastActive).not.toBeNull();
  expect((await monitor(rounds)).activity.lastActive).toBeNull();
});

test("statistics that sessions of our own have changed do not count", async () => {
  const rounds = [{}, { statistics: { activeTime: 0, sessions: 1 } }];
  expect((await monitor(rounds, { statistics: true, disturbed: true })).activity.lastActive).toBeNull();
});

test("lifecycle.md case 47: last_active never goes back, and lifecycle.md case 44: it is never in the future", async () => {
  const future = new Date("2026-04-02T21:00:00Z");
  const past = new Date("2026-04-02T03:00:00Z");
  const { seen } = await monitor([
    { idleSince: past },
    { busySessions: 1 },
    { idleSince: past },
    { idleSince: future },
  ]);
  expect(seen).toEqual([
    "2026-04-02T03:00:00.000Z",
    "2026-04-02T12:00:00.500Z",
    "2026-04-02T12:00:00.500Z",
    "2026-04-02T12:00:01.500Z",
  ]);
});

test("an outage is counted round by round, and ends with the first good one", async () => {
  const down = await monitor([{}, "refuses", "refuses"]);
  expect(down.lines).toContain("connection to Postgres is closed, trying to reconnect");
  expect(down.lines).toContain("could not connect to Postgres: connection refused, retrying");
  expect(down.lines).toMatch(/downtime_info="total_ms: \d+, current_ms: \d+, last_up: 2026-04-02T12:00:00\.000Z"/);
  expect([down.currentMs, down.totalMs, down.activity.answers]).toEqual([1_000, 1_000, false]);
  const up = await monitor([{}, "refuses", "refuses", {}]);
  expect([up.currentMs, up.totalMs, up.activity.answers]).toEqual([0, 1_000, true]);
});

test("a session that was lost and can be had again at once is an outage of one round", async () => {
  const { lines, currentMs, totalMs } = await monitor([{}, "session lost", {}]);
  expect(lines).toContain("connection to Postgres is closed, trying to reconnect");
  expect([currentMs, totalMs]).toEqual([0, 500]);
});

test("a Postgres that hangs is down after 5 s", async () => {
  const { lines, currentMs, totalMs } = await monitor([{}, "hangs", "hangs"]);
  expect(lines).toContain("could not check Postgres: no answer within 5000 ms");
  expect([currentMs, totalMs]).toEqual([11_000, 11_000]);
});

test("metrics-and-logs.md case 12: a wall clock that is set back is no outage", async () => {
  const setBack = ({ time }: World): void => {
    time.wall -= 3_600_000;
  };
  const { totalMs } = await monitor([{}, setBack, "session lost", "refuses", {}]);
  expect(totalMs).toBe(1_000);
});

test("after a failed reconfiguration it goes on, and a termination ends it", async () => {
  const fail = ({ state }: World): void => {
    for (const trigger of ["configure", "reconfiguration_begins"] as const) state.apply(trigger);
    state.apply("reconfiguration_fails", "no such role");
  };
  const terminate = ({ state }: World): void => void state.apply("terminate_fast");
  const { lines, activity, state } = await monitor([{}, fail, {}, { busySessions: 1 }, terminate, {}, {}]);
  expect(activity.lastActive?.toISOString()).toBe("2026-04-02T12:00:01.500Z");
  expect(state.status).toBe("termination_pending_fast");
  expect(lines).toContain("compute is in termination-pending-fast status, stopping compute monitor");
  expect(lines).toContain("compute monitor thread terminated gracefully");
});
