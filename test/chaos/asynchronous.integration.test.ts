import { existsSync } from "node:fs";
import { readdir, truncate } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { unsavedWalPath } from "../../src/pgdata/unsaved_wal.ts";
import { type Compute, runToEnd, workDirectory } from "../support/compute_ctl.ts";
import { type ComputeOnOptions, runOn, startOn } from "../support/compute_on.ts";
import { installation } from "../support/postgres.ts";
import { type Storage, TestStore } from "../support/store.ts";
import { until } from "../support/until.ts";

const ASYNC = { COMPUTE_CTL_DURABILITY: "async" };

async function killAll(compute: Compute): Promise<void> {
  const postmaster = await compute.postmasterPid();
  compute.child.kill("SIGKILL");
  process.kill(postmaster, "SIGKILL");
  await compute.exited;
}

/** Commits rows that storage cannot have got, then everything dies. */
async function leaveTail(store: TestStore, storage: Storage, options: ComputeOnOptions): Promise<void> {
  await using compute = await runOn(storage, { ...options, env: ASYNC });
  await compute.query("CREATE TABLE t (n int, pad text)");
  await compute.query("INSERT INTO t VALUES (0)");
  const saved = String(await compute.query("SELECT pg_current_wal_flush_lsn()"));
  await until(
    async () => (await compute.query(`SELECT bool_or(flush_lsn >= '${saved}') FROM pg_stat_replication`)) === true,
  );
  await store.kill();
  const session = await compute.connect();
  for (let n = 1; n <= 20; n++) await session.query(`INSERT INTO t VALUES (${n}, repeat('x', 1000))`);
  // A record that runs over a segment's end.
  await session.query("SELECT pg_logical_emit_message(true, 'x', repeat('x', 20000000))");
  await session.query("INSERT INTO t VALUES (21)");
  await killAll(compute);
}

describe.each([14, 17, 18])("COMPUTE_CTL_DURABILITY=async on PostgreSQL %i", (major) => {
  const pgbin = installation(major).postgres;

  test.each([{ next: "async" }, { next: "sync" }])(
    "neon-local.md case 23: what only the old data directory has is brought to storage before that is replaced, by a start in mode $next",
    async ({ next }) => {
      await using store = await TestStore.start();
      await using work = await workDirectory();
      const storage = await store.timeline(major);
      const options = { pgbin, pgdata: join(work.path, "pgdata") };
      await leaveTail(store, storage, options);
      expect(existsSync(unsavedWalPath(options.pgdata))).toBe(true);
      await store.restart();
      {
        await using again = await runOn(storage, { ...options, env: { COMPUTE_CTL_DURABILITY: next } });
        expect(again.output).toMatch(/brought \d{8} bytes of WAL/);
        expect(await again.query("SELECT count(*)::int FROM t")).toBe(22);
        expect(existsSync(unsavedWalPath(options.pgdata))).toBe(next === "async");
        const answer = await again.request("/terminate?mode=immediate", { method: "POST" });
        expect(answer.status).toBe(200);
        await again.exited;
        // Storage has it all.
        expect(existsSync(unsavedWalPath(options.pgdata))).toBe(false);
      }
      await using elsewhere = await runOn(storage, { pgbin });
      expect(await elsewhere.query("SELECT count(*)::int FROM t")).toBe(22);
    },
  );
});

describe("COMPUTE_CTL_DURABILITY=async", () => {
  test("nothing waits, and Postgres syncs its own disk", async () => {
    await using store = await TestStore.start();
    await using compute = await runOn(await store.timeline(), { env: ASYNC });
    expect(await compute.query("SHOW fsync")).toBe("on");
    expect(await compute.query("SHOW full_page_writes")).toBe("on");
    expect(await compute.query("SHOW synchronous_standby_names")).toBe("");
    expect(await compute.query("SELECT sync_state FROM pg_stat_replication")).toBe("async");
    await store.kill();
    await compute.query("CREATE TABLE t (n int)");
    expect((await fetch(`http://127.0.0.1:${compute.externalPort}/readyz`)).status).toBe(200);
  });

  test("neon-local.md case 23: a damaged data directory with a tail: the start fails and keeps it", async () => {
    await using store = await TestStore.start();
    await using work = await workDirectory();
    const storage = await store.timeline();
    const options = { pgdata: join(work.path, "pgdata") };
    await leaveTail(store, storage, options);
    await store.restart();
    const wal = join(options.pgdata, "pg_wal");
    const [segment = ""] = (await readdir(wal)).filter((name) => /^[0-9A-F]{24}$/.test(name)).sort();
    await truncate(join(wal, segment), 100_000);
    const before = await readdir(options.pgdata);
    await using again = await startOn(storage, { ...options, env: ASYNC });
    expect(await again.failure()).toMatch(/may hold commits that storage has not, and is not overwritten.*damaged/);
    expect(await readdir(options.pgdata)).toEqual(before);
  });

  test("another compute went on meanwhile: the start fails and keeps the data directory, also as a replica", async () => {
    await using store = await TestStore.start();
    await using work = await workDirectory();
    const storage = await store.timeline();
    const options = { pgdata: join(work.path, "pgdata") };
    await leaveTail(store, storage, options);
    await store.restart();
    {
      await using other = await runOn(storage);
      expect(await other.query("SELECT count(*)::int FROM t")).toBe(1);
      await other.query("INSERT INTO t VALUES (100)");
    }
    await using again = await startOn(storage, { ...options, env: ASYNC });
    expect(await again.failure()).toMatch(/another compute went on there with term \d+/);
    await again.stop();
    await using replica = await startOn(storage, { ...options, more: { mode: "Replica" } });
    expect(await replica.failure()).toContain("may hold commits that storage has not");
    expect(existsSync(join(options.pgdata, "pg_wal"))).toBe(true);
  });

  test("a value that is neither sync nor async ends with 2", async () => {
    const argv = ["-D", "/nonexistent/x", "-C", "postgresql://x@127.0.0.1:1/x", "-i", "c", "-c", "/nonexistent/c"];
    const { code, stderr } = await runToEnd(argv, { COMPUTE_CTL_DURABILITY: "maybe" });
    expect(code).toBe(2);
    expect(stderr).toContain("COMPUTE_CTL_DURABILITY=maybe");
  });
});
