import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { Compute } from "../support/compute_ctl.ts";
import { runOn, startOn } from "../support/compute_on.ts";
import { forEachMajor } from "../support/postgres.ts";
import { commandLineOf, environmentOf } from "../support/processes.ts";
import { scriptedPostgres } from "../support/scripted_postgres.ts";
import { type Storage, useStore } from "../support/store.ts";

const STARTUP_METRICS = [
  "wait_for_spec_ms",
  "sync_sk_check_ms",
  "sync_safekeepers_ms",
  "pageserver_connect_micros",
  "basebackup_ms",
  "basebackup_bytes",
  "start_postgres_ms",
  "config_ms",
  "total_startup_ms",
  "load_ext_ms",
  "num_ext_downloaded",
  "largest_ext_size",
  "total_ext_download_size",
];

const isRoot = process.geteuid?.() === 0;
const NOBODY = { uid: 65534, gid: 65534 };
const store = useStore();

type Protocol = "libpq" | "grpc";

/** The storage as a spec with one protocol only names it. */
function only(protocol: Protocol, storage: Storage): Storage {
  const { libpq_url = "", grpc_url = "" } = storage.pageserver;
  return { ...storage, pageserver: protocol === "libpq" ? { libpq_url } : { grpc_url } };
}

/** Every status that `/status` and `/metrics` show from the first accepted connection on, until it runs. */
async function watchStart(compute: Compute): Promise<{ statuses: Set<string>; labels: Set<string> }> {
  const [statuses, labels] = [new Set<string>(), new Set<string>()];
  let running = false;
  const poll = async (one: () => Promise<void>): Promise<void> => {
    while (!running) {
      await one().catch(() => undefined);
      await delay(1);
    }
  };
  await Promise.all([
    compute.reach("running").finally(() => (running = true)),
    poll(async () => void statuses.add((await compute.status()).status)),
    poll(async () => void labels.add(/status="([^"]*)"/.exec(await compute.metrics())?.[1] ?? "none")),
  ]);
  return { statuses, labels };
}

/** What every compute must show that was started from a file. */
async function expectRunning(compute: Compute, storage: Storage, major: number): Promise<void> {
  expect(await compute.query("SELECT 1")).toBe(1);
  expect(await compute.query("SHOW server_version_num")).toMatch(new RegExp(`^${major}`));
  expect(await compute.query("SELECT pg_is_in_recovery()")).toBe(false);
  await compute.query("CREATE TABLE t AS SELECT g FROM generate_series(1, 1000) g");
  expect(await compute.query("SELECT count(*)::int FROM t")).toBe(1000);
  const status = await compute.status();
  expect(status).toEqual({
    start_time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/),
    tenant: storage.tenantId,
    timeline: storage.timelineId,
    status: "running",
    last_active: null,
    error: null,
  });
  const metrics = await compute.startupMetrics();
  expect(Object.keys(metrics)).toEqual(STARTUP_METRICS);
  for (const value of Object.values(metrics)) expect(Number.isInteger(value) && value >= 0).toBe(true);
  const { start_postgres_ms = 0, config_ms = 0, total_startup_ms = 0, basebackup_ms = 0 } = metrics;
  expect(total_startup_ms).toBeGreaterThanOrEqual(start_postgres_ms + config_ms);
  expect(total_startup_ms).toBeGreaterThanOrEqual(basebackup_ms);
  expect(start_postgres_ms).toBeGreaterThan(0);
  expect(metrics.pageserver_connect_micros).toBeGreaterThan(0);
  expect(metrics.basebackup_bytes).toBeGreaterThan(100_000);
  expect(metrics.wait_for_spec_ms).toBe(0);
  expect(await compute.metrics()).toContain('compute_ctl_up{build_tag="latest",status="running"} 1');
  expect(await compute.query("SHOW neon.tenant_id")).toBe(storage.tenantId);
  expect((await stat(compute.pgdata)).mode & 0o777).toBe(0o700);
}

describe.each<Protocol>(["libpq", "grpc"])("a hand-written config file, base backup over %s", (protocol) => {
  forEachMajor(
    "lifecycle.md case 14, lifecycle.md case 37, http-api.md case 14, postgres-config.md case 40, metrics-and-logs.md case 17, " +
      "metrics-and-logs.md case 29: it runs, and nobody ever saw it empty",
    async ({ major, postgres }) => {
      const storage = only(protocol, await store().timeline(major));
      await using compute = await startOn(storage, { pgbin: postgres });
      const { statuses, labels } = await watchStart(compute);
      for (const status of [...statuses, ...labels]) expect(["init", "running"]).toContain(status);
      expect(compute.output).not.toContain("Changing compute status from init to empty");
      await expectRunning(compute, storage, major);
    },
  );

  test.runIf(isRoot)("as an ordinary user", async () => {
    const storage = only(protocol, await store().timeline());
    await using compute = await runOn(storage, { user: NOBODY });
    await expectRunning(compute, storage, 17);
    expect((await stat(compute.pgdata)).uid).toBe(NOBODY.uid);
    expect(compute.output).not.toContain("running as root");
  });
});

test("spec.md case 24: gRPC preferred where there are only libpq URLs: libpq is used, and that is said", async () => {
  const storage = only("libpq", await store().timeline());
  const pageserver_connection_info = {
    shard_count: 0,
    prefer_protocol: "grpc",
    shards: { "0000": { pageservers: [{ id: 1, ...storage.pageserver }] } },
  };
  await using compute = await runOn(storage, { more: { pageserver_connection_info } });
  expect(compute.output).toMatch(/ WARN .*libpq/);
});

test("postgres-config.md case 35, lifecycle.md case 36: Postgres' environment has the tokens, and all of ours", async () => {
  await using compute = await runOn(await store().timeline(), {
    more: { storage_auth_token: "storage-token" },
    env: { NEON_CONTROL_PLANE_TOKEN: "plane-token", SOME_VARIABLE: "a=b" },
  });
  expect(await environmentOf(await compute.postmasterPid())).toMatchObject({
    NEON_AUTH_TOKEN: "storage-token",
    NEON_CONTROL_PLANE_TOKEN: "plane-token",
    SOME_VARIABLE: "a=b",
  });
  await using other = await runOn(await store().timeline());
  const environment = await environmentOf(await other.postmasterPid());
  expect(environment).not.toHaveProperty("NEON_AUTH_TOKEN");
  expect(environment).not.toHaveProperty("NEON_LOCAL_SUPERVISOR_FD");
});

test("lifecycle.md case 35: with AUTOSCALING set, even empty, Postgres is started through cgexec", async () => {
  await using scripted = await scriptedPostgres({});
  const { directory, pgbin } = scripted;
  const cgexec = `#!/bin/sh\necho "$1 $2 $4" >> ${directory}/cgroups\nshift 2\nexec "$@"\n`;
  await writeFile(join(directory, "cgexec"), cgexec, { mode: 0o755 });
  const env = { AUTOSCALING: "", PATH: `${directory}:${process.env.PATH}` };
  await using compute = await runOn(await store().timeline(), { pgbin, env });
  expect(await readFile(join(directory, "cgroups"), "utf8")).toBe("-g memory:neon-postgres -D\n");
  expect((await commandLineOf(await compute.postmasterPid())).slice(1, 3)).toEqual(["-D", compute.pgdata]);
});
