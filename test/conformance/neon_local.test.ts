/**
 * What `neon_local` and the storage controller do with a compute: the tool itself cannot be had everywhere, so its directory,
 * command line, config document, polling and ways of stopping are done after it (contract: neon-local.md C).
 */
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { formatLsn, parseLsn } from "../../src/wire/lsn.ts";
import { freePort } from "../support/free_port.ts";
import { Endpoint } from "../support/neon_local.ts";
import { processesIn } from "../support/processes.ts";
import { TestStore, useStore } from "../support/store.ts";
import { until } from "../support/until.ts";

const store = useStore();
/** How long the tool waits for the process after it stopped Postgres. */
const PATIENCE_MS = 10_000;

/** Fails when the process needs longer than the tool waits. */
async function endsInTime(endpoint: Endpoint): Promise<{ code: number | null }> {
  const late = delay(PATIENCE_MS, undefined, { ref: false }).then(() => {
    throw new Error("the tool would have given up on it");
  });
  const ended = await Promise.race([endpoint.exited, late]);
  expect(await processesIn(endpoint.pgdata)).toEqual([]);
  expect(endpoint.leftPidFile).toBe(false);
  return ended;
}

async function started(storage = store().timeline()): Promise<Endpoint> {
  const endpoint = await Endpoint.create({ storage: await storage });
  expect(await endpoint.start()).toMatchObject({ status: "running", error: null });
  return endpoint;
}

test("neon-local.md case 52: /status polled from the first millisecond shows init, then running, at every start", async () => {
  await using endpoint = await Endpoint.create({ storage: await store().timeline() });
  for (const _start of [1, 2, 3]) {
    const { seen } = await endpoint.start();
    expect(["init,running", "running"]).toContain(seen.join());
    endpoint.signal("SIGTERM");
    await endpoint.exited;
  }
});

test("neon-local.md case 53: a broken pageserver URL is told within the tries that there are, and no process is left", async () => {
  const storage = await store().timeline();
  const libpq_url = `postgresql://no_user@127.0.0.1:${await freePort()}`;
  await using endpoint = await Endpoint.create({
    storage: { ...storage, pageserver: { libpq_url } },
    env: { NEON_COMPUTE_TESTING_BASEBACKUP_RETRIES: "0" },
  });
  const { status, error, seen } = await endpoint.start();
  expect({ status, seen }).toEqual({ status: "failed", seen: ["init", "failed"] });
  expect(error).toContain("ECONNREFUSED");
  // What the tool does then.
  endpoint.signal("SIGKILL");
  await endpoint.exited;
  expect(await processesIn(endpoint.pgdata)).toEqual([]);
});

describe("neon-local.md case 54: every way of stopping ends within what the tool waits", () => {
  test("fast, without any signal", async () => {
    await using endpoint = await started();
    await endpoint.pgCtlStop("fast");
    expect(await endsInTime(endpoint)).toMatchObject({ code: 0 });
  });

  test("fast with --destroy, which signals too", async () => {
    await using endpoint = await started();
    await endpoint.pgCtlStop("fast");
    endpoint.signal("SIGTERM");
    await endsInTime(endpoint);
  });

  test("immediate", async () => {
    await using endpoint = await started();
    await endpoint.query("CREATE TABLE kept AS SELECT 1 n");
    await endpoint.pgCtlStop("immediate");
    endpoint.signal("SIGTERM");
    await endsInTime(endpoint);
    expect(await endpoint.start()).toMatchObject({ status: "running" });
    expect(await endpoint.query("SELECT n FROM kept")).toBe(1);
  });

  test("immediate-terminate: the LSN is at or behind the last commit", async () => {
    await using endpoint = await started();
    await endpoint.query("CREATE TABLE kept AS SELECT 1 n");
    const committed = parseLsn(String(await endpoint.query("SELECT pg_current_wal_flush_lsn()")));
    const answer = await endpoint.request("/terminate?mode=immediate", { method: "POST", admin: true });
    const { lsn } = (await answer.json()) as { lsn: string };
    expect(parseLsn(lsn) >= committed, `${lsn} is before ${formatLsn(committed)}`).toBe(true);
    endpoint.signal("SIGTERM");
    await endsInTime(endpoint);
  });

  test("immediate-terminate of what is no primary: null", async () => {
    await using primary = await started();
    await primary.query("CREATE TABLE kept AS SELECT 1 n");
    const lsn = String(await primary.query("SELECT pg_current_wal_flush_lsn()"));
    const { tenant_id, timeline_id, pageserver_connection_info } = primary.config.spec;
    const [shard] = Object.values(
      (pageserver_connection_info as { shards: Record<string, { pageservers: object[] }> }).shards,
    );
    const pageserver = shard?.pageservers[0] as { libpq_url: string; grpc_url: string };
    const storage = { tenantId: String(tenant_id), timelineId: String(timeline_id), pageserver, safekeepers: [] };
    await using endpoint = await Endpoint.create({ storage, mode: { Static: lsn } });
    expect(await endpoint.start()).toMatchObject({ status: "running" });
    expect(await endpoint.query("SELECT n FROM kept")).toBe(1);
    const answer = await endpoint.request("/terminate?mode=immediate", { method: "POST", admin: true });
    expect(await answer.json()).toEqual({ lsn: null });
    endpoint.signal("SIGTERM");
    await endsInTime(endpoint);
  });
});

test("neon-local.md case 55: without a majority of safekeepers a signal ends what a fast stop waits for", async () => {
  await using own = await TestStore.start();
  await using endpoint = await started(own.timeline());
  await own.kill("SIGSTOP");
  // It may wait for the storage for as long as it likes.
  const stopping = endpoint.pgCtlStop("fast").catch(() => undefined);
  await until(async () => (await endpoint.log()).includes("received fast shutdown request"));
  endpoint.signal("SIGTERM");
  const late = delay(PATIENCE_MS + 5_000, "late", { ref: false });
  expect(await Promise.race([endpoint.exited, late])).not.toBe("late");
  await stopping;
  expect(await processesIn(endpoint.pgdata)).toEqual([]);
});

test("neon-local.md case 56: reconfigure changes log_line_prefix without a restart; running is the only state in the metrics", async () => {
  await using endpoint = await started();
  const before = await endpoint.query("SELECT pg_postmaster_start_time()::text");
  const { cluster } = endpoint.config.spec as { cluster: { postgresql_conf: string } };
  const postgresql_conf = `${cluster.postgresql_conf}log_line_prefix='from the tool '\n`;
  const answer = await endpoint.configure({ ...endpoint.config.spec, cluster: { ...cluster, postgresql_conf } });
  expect(answer.status, await answer.text()).toBeLessThan(400);
  await expect.poll(() => endpoint.query("SHOW log_line_prefix")).toBe("from the tool ");
  expect(await endpoint.query("SELECT pg_postmaster_start_time()::text")).toBe(before);
  const metrics = await (await fetch(`http://127.0.0.1:${endpoint.externalPort}/metrics`)).text();
  const samples = metrics.split("\n").filter((line) => line.startsWith("compute_ctl_up{"));
  expect(samples).toEqual([expect.stringContaining('status="running"')]);
  // A test of Neon's looks for this line.
  expect(await endpoint.log()).toContain("INFO request{method=POST uri=/configure");
});

test("neon-local.md case 57: the storage controller's /configure: queries go on, the structured field beats the old string", async () => {
  await using endpoint = await started();
  const queries = (async () => {
    for (let count = 0; count < 50; count++) await endpoint.query("SELECT 1");
  })();
  const { pageserver_connection_info: info } = endpoint.config.spec as {
    pageserver_connection_info: { shards: { "0000": { pageservers: { libpq_url: string }[] } } };
  };
  const moved = "postgresql://no_user@127.0.0.1:1";
  const [pageserver] = info.shards["0000"].pageservers;
  const shards = { "0000": { pageservers: [{ ...pageserver, libpq_url: moved }] } };
  const spec = { ...endpoint.config.spec, pageserver_connection_info: { ...info, shards } };
  expect((await endpoint.configure(spec)).status).toBe(200);
  await queries;
  await expect.poll(() => endpoint.query("SHOW neon.pageserver_connstring")).toBe(moved);
});

test("neon-local.md case 61: a port that another endpoint has is named in the error", async () => {
  await using first = await started();
  await using second = await Endpoint.create({
    storage: await store().timeline(),
    // By default the second one's Postgres gets the first one's internal port.
    postgresPort: first.internalPort,
  });
  const { status, error } = await second.start();
  expect(status).toBe("failed");
  expect(error).toMatch(/could not bind IPv4 address "127\.0\.0\.1": Address already in use/);
  expect(await first.query("SELECT 1")).toBe(1);
});
