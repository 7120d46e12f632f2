import { existsSync } from "node:fs";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { describe, expect, test } from "vitest";
import { type Compute, workDirectory } from "../support/compute_ctl.ts";
import { runOn, startOn } from "../support/compute_on.ts";
import { installation } from "../support/postgres.ts";
import { TestStore } from "../support/store.ts";
import { until } from "../support/until.ts";

/** Debian's; the packages of servers have none. */
const PG_RECEIVEWAL = "/usr/lib/postgresql/15/bin/pg_receivewal";

/** Computes on the oldest and the newest major: what they promise must not depend on it. */
const MAJORS = [14, 18] as const;

async function ready(compute: Compute): Promise<number> {
  return (await fetch(`http://127.0.0.1:${compute.externalPort}/readyz`)).status;
}

function lsnNumber(text: string): bigint {
  const [high = "", low = ""] = text.split("/");
  return (BigInt(`0x${high}`) << 32n) + BigInt(`0x${low}`);
}

/** A statement in a session of its own that has not come back yet. */
async function begin(compute: Compute, sql: string, user = "cloud_admin") {
  const session = await compute.connect({ user });
  const pid = (session as unknown as { processID: number }).processID;
  let over = false;
  const done = session.query(sql).then(
    () => "done",
    (error: Error) => error.message,
  );
  void done.then(() => (over = true));
  const waits = async (): Promise<void> =>
    await until(async () => {
      const event = `SELECT wait_event = 'SyncRep' FROM pg_stat_activity WHERE pid = ${pid}`;
      return (await compute.query(event)) === true;
    });
  return { session, pid, done, waits, isOver: () => over };
}

describe.each(MAJORS)("storage is away under PostgreSQL %i", (major) => {
  const pgbin = installation(major).postgres;

  test("storage-protocols.md case 24: commits wait and return with it; synchronous_commit=local does not wait; /status stays running, /readyz does not", async () => {
    await using store = await TestStore.start();
    await using compute = await runOn(await store.timeline(major), { pgbin });
    await compute.query("CREATE ROLE app LOGIN");
    await compute.query("CREATE TABLE t (n int)");
    await compute.query("GRANT INSERT ON t TO app");
    expect(await ready(compute)).toBe(200);
    await store.kill();
    const waiting = await begin(compute, "INSERT INTO t VALUES (1)", "app");
    await waiting.waits();
    await until(async () => (await ready(compute)) === 503);
    expect((await compute.status()).status).toBe("running");
    expect(await compute.metrics()).toMatch(/^compute_ctl_walproposer_quorum 0$/m);
    const local = await compute.connect();
    await local.query("SET synchronous_commit = local");
    await local.query("INSERT INTO t VALUES (2)");
    await local.end();
    // It is busy: nobody may take it for idle.
    const { last_active: before } = await compute.status();
    await until(async () => ((await compute.status()).last_active ?? "") > (before ?? ""));
    expect(waiting.isOver()).toBe(false);

    await store.restart();
    expect(await waiting.done).toBe("done");
    await waiting.session.end();
    await until(async () => (await ready(compute)) === 200);
    expect(await compute.query("SELECT sum(n)::int FROM t")).toBe(3);
    expect((await compute.status()).status).toBe("running");
  });

  test("a storage that does not answer: commits wait, and return when it does", async () => {
    await using store = await TestStore.start();
    await using compute = await runOn(await store.timeline(major), { pgbin });
    await compute.query("CREATE TABLE t (n int)");
    await store.kill("SIGSTOP");
    const waiting = await begin(compute, "INSERT INTO t SELECT generate_series(1, 300000)");
    await waiting.waits();
    expect(waiting.isOver()).toBe(false);
    await store.kill("SIGCONT");
    expect(await waiting.done).toBe("done");
    await waiting.session.end();
  });
});

describe("storage is away", () => {
  test("at the start: status stays init and says why, PGDATA is not touched; the start goes on when storage comes", async () => {
    await using store = await TestStore.start();
    await using work = await workDirectory();
    const storage = await store.timeline();
    await store.kill();
    const pgdata = join(work.path, "pgdata");
    await mkdir(pgdata);
    for (const name of ["PG_VERSION", "postgresql.conf", "kept"]) await writeFile(join(pgdata, name), "17\n");
    await using compute = await startOn(storage, { pgdata });
    await until(async () => (await compute.status().catch(() => undefined))?.error?.includes("quorum") === true);
    expect(await compute.status()).toMatchObject({
      status: "init",
      error: `waiting for a quorum of the safekeepers ${storage.safekeepers.join(", ")}`,
    });
    expect(await ready(compute)).toBe(503);
    expect((await readdir(pgdata)).sort()).toEqual(["PG_VERSION", "kept", "postgresql.conf"]);
    await store.restart();
    await compute.reach("running");
    expect((await compute.status()).error).toBe(null);
    expect(await readdir(pgdata)).not.toContain("kept");
    expect(await compute.query("SELECT 1")).toBe(1);
  });

  test("lifecycle.md case 58: SIGTERM while commits wait for it: exit code 1 within 14 s", async () => {
    await using store = await TestStore.start();
    await using compute = await runOn(await store.timeline(), { env: { COMPUTE_CTL_STOP_TIMEOUT: "2" } });
    await compute.query("CREATE TABLE t (n int)");
    await store.kill();
    const waiting = await begin(compute, "INSERT INTO t VALUES (1)");
    await waiting.waits();
    const began = performance.now();
    expect(await compute.stop()).toEqual({ code: 1, signal: null });
    expect(performance.now() - began).toBeLessThan(14_000);
    expect(await waiting.done).not.toBe("done");
  });

  test("a commit that is cancelled while it waits is outside the promise; others keep waiting, and nothing acknowledged is lost", async () => {
    await using store = await TestStore.start();
    const storage = await store.timeline();
    await using compute = await runOn(storage);
    await compute.query("CREATE TABLE t (n int)");
    await compute.query("INSERT INTO t VALUES (1)");
    await store.kill();
    const cancelled = await begin(compute, "INSERT INTO t VALUES (2)");
    const waiting = await begin(compute, "INSERT INTO t VALUES (3)");
    await cancelled.waits();
    await waiting.waits();
    await compute.query(`SELECT pg_cancel_backend(${cancelled.pid})`);
    // Postgres says success with a warning: the README says so.
    expect(await cancelled.done).toBe("done");
    expect(await compute.query("SELECT count(*)::int FROM t WHERE n = 2")).toBe(1);
    expect(waiting.isOver()).toBe(false);
    process.kill(await compute.postmasterPid(), "SIGKILL");
    expect(await waiting.done).not.toBe("done");
    compute.child.kill("SIGKILL");
    await store.restart();
    await using next = await runOn(storage);
    expect(await next.query("SELECT array_agg(n) FROM t")).toEqual([1]);
  });

  test.skipIf(!existsSync(PG_RECEIVEWAL))(
    "a role with REPLICATION cannot stand in for it: the name that commits wait for is new with every start",
    async () => {
      await using store = await TestStore.start();
      await using work = await workDirectory();
      const storage = await store.timeline(15);
      const pgbin = installation(15).postgres;
      const names: string[] = [];
      for (const start of [1, 2]) {
        await using compute = await runOn(storage, { pgbin });
        if (start === 1) await compute.query("CREATE ROLE standin LOGIN REPLICATION PASSWORD 'x'");
        names.push(String(await compute.query("SHOW synchronous_standby_names")));
        if (start === 2) {
          await store.kill();
          const waiting = await begin(compute, "CREATE TABLE t (n int)");
          await waiting.waits();
          const aborted = new AbortController();
          for (const name of ["walproposer", names[0] ?? ""]) await mkdir(join(work.path, name));
          const receivers = ["walproposer", names[0] ?? ""].map((name) => {
            const dsn = `host=127.0.0.1 port=${compute.postgresPort} user=standin password=x application_name=${name}`;
            const argv = ["--synchronous", "--no-loop", "-D", join(work.path, name), "-d", dsn];
            return execa(PG_RECEIVEWAL, argv, {
              cancelSignal: aborted.signal,
              reject: false,
            });
          });
          const streaming = "SELECT count(*)::int FROM pg_stat_replication WHERE state = 'streaming'";
          const failed = Promise.race(receivers).then(({ stderr }) => expect.fail(String(stderr)));
          await Promise.race([failed, until(async () => (await compute.query(streaming)) === 3)]);
          // Whether they end later is of no interest.
          failed.catch(() => undefined);
          expect(await compute.query("SELECT count(*)::int FROM pg_stat_replication WHERE sync_state = 'sync'")).toBe(
            1,
          );
          expect(waiting.isOver()).toBe(false);
          aborted.abort();
          await Promise.all(receivers);
          await store.restart();
          expect(await waiting.done).toBe("done");
          await waiting.session.end();
        }
      }
      expect(new Set(names).size).toBe(2);
      for (const name of names) expect(name).toMatch(/^compute_ctl_[0-9a-f]{16}$/);
    },
  );
});

describe("the end of a server", () => {
  test.each([14, 18])(
    "storage-protocols.md case 25: a fast stop of PostgreSQL %i: storage ends exactly behind the shutdown checkpoint, and /terminate names that LSN",
    async (major) => {
      await using store = await TestStore.start();
      const storage = await store.timeline(major);
      await using compute = await runOn(storage, { pgbin: installation(major).postgres });
      await compute.query("CREATE TABLE t AS SELECT generate_series(1, 10000) n");
      const before = String(await compute.query("SELECT pg_current_wal_flush_lsn()"));
      const began = performance.now();
      const response = await compute.request("/terminate?mode=immediate", { method: "POST" });
      expect(performance.now() - began).toBeLessThan(10_000);
      const { lsn } = (await response.json()) as { lsn: string };
      expect(lsnNumber(lsn)).toBeGreaterThan(lsnNumber(before));
      expect(await compute.exited).toEqual({ code: 0, signal: null });
      // The next one goes on right there: its first record follows the checkpoint's.
      await using next = await runOn(storage, { pgbin: installation(major).postgres });
      expect(next.output).toContain(`safekeepers synced at LSN ${lsn}`);
      expect(await next.query("SELECT count(*)::int FROM t")).toBe(10_000);
    },
  );
});
