import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { Compute } from "../support/compute_ctl.ts";
import { runOn } from "../support/compute_on.ts";
import { useStore } from "../support/store.ts";

const store = useStore();
const FEATURE = { features: ["activity_monitor_experimental"] };

async function figure(compute: Compute, name: string): Promise<number> {
  return Number(new RegExp(`^${name} (.*)$`, "m").exec(await compute.metrics())?.[1]);
}

function downtime(compute: Compute): Promise<[currentMs: number, totalMs: number]> {
  return Promise.all([
    figure(compute, "compute_pg_current_downtime_ms"),
    figure(compute, "compute_pg_downtime_ms_total"),
  ]);
}

async function lastActive(compute: Compute): Promise<number | null> {
  const { last_active } = await compute.status();
  if (last_active === null) return null;
  expect(last_active).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00$/);
  return Date.parse(last_active);
}

/** Looks again and again for a while: several rounds of a monitor that looks twice a second. */
async function watch(compute: Compute, rounds: number): Promise<(number | null)[]> {
  const seen: (number | null)[] = [];
  for (let round = 0; round < rounds; round++) {
    seen.push(await lastActive(compute));
    await delay(500);
  }
  return seen;
}

/** Waits until there is activity later than that. */
async function moves(compute: Compute, after: number): Promise<number> {
  await expect.poll(async () => (await lastActive(compute)) ?? 0, { timeout: 10_000 }).toBeGreaterThan(after);
  return (await lastActive(compute)) ?? 0;
}

describe.each([
  ["without the feature", {}],
  ["with the feature activity_monitor_experimental", FEATURE],
])("activity, %s", (_name, more) => {
  test("lifecycle.md case 40, lifecycle.md case 42, lifecycle.md case 45, metrics-and-logs.md case 11: nobody, only cloud_admin and only our storage's stream are no activity", async () => {
    await using compute = await runOn(await store().timeline(), { more });
    const session = await compute.connect();
    await session.query("SELECT 1");
    expect(new Set(await watch(compute, 10))).toEqual(new Set([null]));
    await session.end();
    expect(await downtime(compute)).toEqual([0, 0]);
  });

  test("lifecycle.md case 41, lifecycle.md case 42, lifecycle.md case 44, lifecycle.md case 47, http-api.md case 15: a user who works, idles, is in a transaction and goes", async () => {
    await using compute = await runOn(await store().timeline(), { more, settings: { TimeZone: "Asia/Tokyo" } });
    await compute.query("CREATE ROLE app LOGIN");
    const began = Date.now();
    const user = await compute.connect({ user: "app" });
    await user.query("SELECT pg_sleep(0.01)");
    const idleSince = await moves(compute, 0);
    expect(idleSince).toBeGreaterThanOrEqual(began - 1);
    expect(idleSince).toBeLessThanOrEqual(Date.now());
    // The session stays open, but does nothing.
    const still = await watch(compute, 4);
    expect(new Set(still.slice(1)).size).toBe(1);
    await user.query("BEGIN");
    const first = await moves(compute, still.at(-1) ?? 0);
    await moves(compute, first);
    await user.query("COMMIT");
    await user.end();
    const after = (await watch(compute, 4)).map((at) => at ?? 0);
    expect([...after].sort((a, b) => a - b)).toEqual(after);
    expect(Math.max(...after)).toBeLessThanOrEqual(Date.now());
  });
});

test("lifecycle.md case 43: with the feature also a session that is gone before the next look counts", async () => {
  await using compute = await runOn(await store().timeline(), { more: FEATURE });
  await compute.query("CREATE ROLE app LOGIN");
  await compute.query("CREATE DATABASE app OWNER app");
  // Sessions of ours, such as those that count extensions, are let pass.
  await compute.says("[NEON_EXT_STAT] ");
  expect(await lastActive(compute)).toBeNull();
  const attempt = async (): Promise<number> => {
    const user = await compute.connect({ user: "app", database: "app" });
    await user.query("SELECT 1");
    await user.end();
    return (await lastActive(compute)) ?? 0;
  };
  await expect.poll(attempt, { interval: 700, timeout: 10_000 }).toBeGreaterThan(0);
});

test("lifecycle.md case 45: an autovacuum worker and a stranger's WAL stream are activity", async () => {
  await using compute = await runOn(await store().timeline());
  const config = { user: "cloud_admin", application_name: "pg_receivewal", replication: "true" };
  const stream = await compute.connect(config);
  const first = await moves(compute, 0);
  await moves(compute, first);
  await stream.end();
  const still = await watch(compute, 4);
  expect(still.at(-1)).toBe(still.at(-2));
});

test("lifecycle.md case 46, metrics-and-logs.md case 10: without its database Postgres counts as down until it is back", async () => {
  await using compute = await runOn(await store().timeline());
  expect(await downtime(compute)).toEqual([0, 0]);
  // The monitor's first look, so that it has a session to lose.
  await delay(1_000);
  const elsewhere = await compute.connect({ database: "template1" });
  await elsewhere.query("DROP DATABASE postgres WITH (FORCE)");
  await expect.poll(async () => Math.min(...(await downtime(compute))), { timeout: 10_000 }).toBeGreaterThan(0);
  await compute.says(/downtime_info="total_ms: \d+, current_ms: \d+, last_up: /);
  const ready = await fetch(`http://127.0.0.1:${compute.externalPort}/readyz`);
  expect([ready.status, await ready.json()]).toEqual([
    503,
    { status: "not_ready", reason: "Postgres does not answer" },
  ]);
  await elsewhere.query("CREATE DATABASE postgres");
  await elsewhere.end();
  await expect.poll(async () => (await downtime(compute))[0], { timeout: 10_000 }).toBe(0);
  const [, total] = await downtime(compute);
  expect(total).toBeGreaterThan(0);
  await delay(1_000);
  expect(await downtime(compute)).toEqual([0, total]);
});

test("metrics-and-logs.md case 13: the census of extensions, in the metrics and in the log", async () => {
  const storage = await store().timeline();
  await using compute = await runOn(storage);
  const line = (await compute.says("[NEON_EXT_STAT] ")).split("\n").at(-1) ?? "";
  const databases = Number(await compute.query("SELECT count(*) FROM pg_database WHERE datallowconn"));
  expect(JSON.parse(line.slice(line.indexOf("{")))).toEqual({
    extensions: [{ extname: "plpgsql", version: "1.0", n_databases: databases, owned_by_superuser: "1" }],
  });
  expect(await compute.metrics()).toContain(
    `compute_installed_extensions{extension_name="plpgsql",owned_by_superuser="1",version="1.0"} ${databases}`,
  );
});
