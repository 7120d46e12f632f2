import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { runToEnd } from "../support/compute_ctl.ts";
import { type ComputeOnOptions, runOn, specAt, startOn } from "../support/compute_on.ts";
import { isAlive, processesIn } from "../support/processes.ts";
import { scriptedPostgres } from "../support/scripted_postgres.ts";
import { TestStore, useStore } from "../support/store.ts";
import { until } from "../support/until.ts";

const shared = useStore();
const FROZEN = "waiting for the WAL up to";

/** A compute whose server waits for a file before it starts. */
async function heldBack(store: TestStore, options: ComputeOnOptions = {}) {
  const stack = new AsyncDisposableStack();
  const server = stack.use(await scriptedPostgres({ start: "while [ ! -e $dir/go ]; do sleep 0.02; done" }));
  const storage = await store.timeline();
  const compute = stack.use(await startOn(storage, { pgbin: server.pgbin, ...options }));
  await until(async () => (await server.starts()).length > 0);
  return {
    compute,
    server,
    storage,
    release: () => writeFile(join(server.directory, "go"), ""),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** One whose server is ready, but whose storage stopped answering before that. */
async function unsettled(store: TestStore, options: ComputeOnOptions = {}) {
  const held = await heldBack(store, options);
  await store.kill("SIGSTOP");
  await held.release();
  await held.compute.says(FROZEN);
  return held;
}

describe.concurrent("two computes on one timeline", () => {
  test("the older one is gone within 5 s, with a code of its own, and its server first", async () => {
    const storage = await shared().timeline();
    await using first = await runOn(storage);
    const began = performance.now();
    const told = first.failure();
    await using second = await runOn(storage);
    expect(await first.exited).toEqual({ code: 4, signal: null });
    expect(performance.now() - began).toBeLessThan(10_000);
    expect(await told).toContain("another compute took over with term");
    expect(await processesIn(first.pgdata)).toEqual([]);
    expect(first.output).toMatch(/ ERROR .*this compute cannot commit any more/);
    expect(await second.query("SELECT 1")).toBe(1);
  });

  test("one that is fenced while its server starts never becomes running", async () => {
    await using store = await TestStore.start();
    const server = await scriptedPostgres({ start: "while [ ! -e $dir/go ]; do sleep 0.02; done" });
    await using _ = server;
    const storage = await store.timeline();
    await using first = await startOn(storage, { pgbin: server.pgbin });
    await until(async () => (await server.starts()).length > 0);
    await using second = await runOn(storage);
    expect(await first.exited).toEqual({ code: 4, signal: null });
    expect(first.output).not.toContain("to running");
    for (const pid of await server.starts()) expect(await isAlive(pid)).toBe(false);
    expect(await second.query("SELECT 1")).toBe(1);
  });
});

describe.concurrent("COMPUTE_CTL_WHEN_FENCED", () => {
  test("with wait a fenced compute stays, alive and not ready, without a server, until a signal ends it with 4", async () => {
    const storage = await shared().timeline();
    await using first = await runOn(storage, { env: { COMPUTE_CTL_WHEN_FENCED: "wait" } });
    const server = await first.postmasterPid();
    await using second = await runOn(storage);
    expect(await first.failure()).toContain("another compute took over with term");
    expect(await isAlive(server)).toBe(false);
    expect(await processesIn(first.pgdata)).toEqual([]);
    await first.says(/ ERROR .*fenced: another compute runs on this timeline; this one waits without Postgres/);
    expect((await first.request("/healthz")).status).toBe(200);
    const ready = await first.request("/readyz");
    expect([ready.status, await ready.json()]).toEqual([503, { status: "not_ready", reason: "failed" }]);
    expect((await first.configure(specAt(first, storage))).status).toBe(412);
    expect((await first.request("/terminate", { method: "POST" })).status).toBe(412);
    // It leaves the timeline alone, whatever it was asked.
    await second.query("CREATE TABLE t ()");
    expect((await second.status()).status).toBe("running");
    expect(await first.stop()).toEqual({ code: 4, signal: null });
  });

  test("with wait one that is fenced while its server starts stays too", async () => {
    await using store = await TestStore.start();
    await using held = await heldBack(store, { env: { COMPUTE_CTL_WHEN_FENCED: "wait" } });
    await using second = await runOn(held.storage);
    await held.compute.says("this one waits without Postgres");
    expect((await held.compute.status()).status).toBe("failed");
    for (const pid of await held.server.starts()) expect(await isAlive(pid)).toBe(false);
    expect(await second.query("SELECT 1")).toBe(1);
    expect(await held.compute.stop()).toEqual({ code: 4, signal: null });
  });

  test("a value that is neither exit nor wait ends with 2", async () => {
    const argv = ["-D", "/nonexistent/x", "-C", "postgresql://x@127.0.0.1:1/x", "-i", "c", "-c", "/nonexistent/c"];
    const { code, stderr } = await runToEnd(argv, { COMPUTE_CTL_WHEN_FENCED: "never" });
    expect([code, stderr]).toEqual([2, "Error: COMPUTE_CTL_WHEN_FENCED=never is neither exit nor wait\n"]);
  });
});

describe.concurrent("storage that does not answer", () => {
  test("Postgres dies while a start waits for it: the start fails and says so", async () => {
    await using store = await TestStore.start();
    await using held = await unsettled(store);
    expect(await held.compute.status()).toMatchObject({ status: "init", error: expect.stringContaining(FROZEN) });
    process.kill(await held.compute.postmasterPid(), "SIGKILL");
    expect(await held.compute.failure()).toContain("Postgres exited unexpectedly with code -1");
    expect(await processesIn(held.compute.pgdata)).toEqual([]);
  });

  test("lifecycle.md case 58: a signal while a start waits for a quorum, for its server, for its WAL: 1, nothing is left", async () => {
    await using store = await TestStore.start();
    {
      await using held = await heldBack(store);
      expect(await held.compute.stop()).toEqual({ code: 1, signal: null });
      for (const pid of await held.server.starts()) expect(await isAlive(pid)).toBe(false);
    }
    {
      await using held = await unsettled(store);
      const began = performance.now();
      expect(await held.compute.stop()).toEqual({ code: 1, signal: null });
      expect(performance.now() - began).toBeLessThan(9_000);
      expect(await processesIn(held.compute.pgdata)).toEqual([]);
    }
    await store.kill("SIGCONT");
    const storage = await store.timeline();
    await store.kill("SIGSTOP");
    await using compute = await startOn(storage);
    await compute.says("waiting for a quorum of the safekeepers");
    const began = performance.now();
    expect(await compute.stop()).toEqual({ code: 1, signal: null });
    expect(performance.now() - began).toBeLessThan(3_000);
  });

  test("a signal while commits wait: Postgres has as long as it was given, not longer", async () => {
    await using store = await TestStore.start();
    await using compute = await runOn(await store.timeline(), { env: { COMPUTE_CTL_STOP_TIMEOUT: "1" } });
    await store.kill("SIGSTOP");
    const client = await compute.connect();
    client.on("error", () => undefined);
    const waiting = client.query("CREATE TABLE t ()").catch(() => undefined);
    await until(
      async () =>
        (await compute.query(
          "SELECT count(*)::int4 FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE 'CREATE TABLE%'",
        )) === 1,
    );
    const began = performance.now();
    expect(await compute.stop()).toEqual({ code: 1, signal: null });
    expect(performance.now() - began).toBeLessThan(5_000);
    expect(await processesIn(compute.pgdata)).toEqual([]);
    await waiting;
  });

  test("/terminate that comes after Postgres went by itself gets the LSN once storage has the WAL", async () => {
    await using store = await TestStore.start();
    await using compute = await runOn(await store.timeline());
    await store.kill("SIGSTOP");
    const client = await compute.connect();
    client.on("error", () => undefined);
    const waiting = client.query("CREATE TABLE t ()").catch(() => undefined);
    await until(
      async () =>
        (await compute.query(
          "SELECT count(*)::int4 FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE 'CREATE TABLE%'",
        )) === 1,
    );
    process.kill(await compute.postmasterPid(), "SIGQUIT");
    await compute.says("syncing safekeepers on shutdown");
    const answer = compute.request("/terminate?mode=immediate", { method: "POST" });
    await compute.says("termination-pending-immediate");
    await store.kill("SIGCONT");
    const response = await answer;
    expect([response.status, await response.json()]).toEqual([
      200,
      { lsn: expect.stringMatching(/^[0-9A-F]+\/[0-9A-F]+$/) },
    ]);
    await waiting;
  });
});

describe.concurrent("unusual loads and surroundings", () => {
  test("one WAL record that is larger than what the proposer holds back is committed", {
    timeout: 120_000,
  }, async () => {
    await using compute = await runOn(await shared().timeline());
    await compute.query("SELECT length(pg_logical_emit_message(true, 'big', repeat('x', 80000000))::text)");
    expect(await compute.query("SELECT 1 FROM pg_stat_replication WHERE flush_lsn >= sent_lsn")).toBe(1);
    await compute.query("CREATE TABLE t ()");
    const response = await compute.request("/terminate?mode=immediate", { method: "POST" });
    expect(response.status).toBe(200);
  });

  test("whoever read the log is gone: the compute runs on, and ends in order", async () => {
    await using compute = await runOn(await shared().timeline());
    compute.child.stdout?.destroy();
    compute.child.stderr?.destroy();
    for (let times = 0; times < 5; times++) expect((await compute.status()).status).toBe("running");
    const pid = await compute.postmasterPid();
    expect((await compute.request("/terminate?mode=immediate", { method: "POST" })).status).toBe(200);
    expect(await compute.exited).toEqual({ code: 0, signal: null });
    expect(await isAlive(pid)).toBe(false);
  });

  test("in lakebase mode a start that takes too long ends the process", async () => {
    await using store = await TestStore.start();
    const storage = await store.timeline();
    await store.kill("SIGSTOP");
    await using compute = await startOn(storage, { flags: ["--lakebase-mode", "true", "--pg-init-timeout", "2"] });
    expect(await compute.exited).toEqual({ code: 1, signal: null });
    expect(compute.output).toMatch(/ ERROR .*compute did not enter Running state in 2 seconds, exiting/);
  });
});
