import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type pg from "pg";
import { describe, expect, test } from "vitest";
import { formatLsn, type Lsn, parseLsn } from "../../src/wire/lsn.ts";
import {
  segmentNumber,
  segmentOffset,
  segmentStart,
  WAL_PAGE_SIZE,
  walSegmentName,
} from "../../src/wire/wal/segment.ts";
import { WalWalker } from "../../src/wire/wal/walker.ts";
import type { Compute } from "../support/compute_ctl.ts";
import { runOn } from "../support/compute_on.ts";
import { forEachMajor, installation, startServer } from "../support/postgres.ts";
import { TestStore } from "../support/store.ts";
import { until } from "../support/until.ts";

const PAGE = BigInt(WAL_PAGE_SIZE);

async function killAll(compute: Compute): Promise<void> {
  const postmaster = await compute.postmasterPid();
  compute.child.kill("SIGKILL");
  process.kill(postmaster, "SIGKILL");
  await compute.exited;
}

async function insertLsn(session: pg.Client): Promise<Lsn> {
  const { rows } = await session.query<{ lsn: string }>("SELECT pg_current_wal_insert_lsn() AS lsn");
  return parseLsn(rows[0]?.lsn ?? "0/0");
}

/** Commits until the last record ends where a page does; that page's end. Other WAL may come in between: then once more. */
async function fillPage(session: pg.Client): Promise<Lsn> {
  const emit = async (bytes: number): Promise<Lsn> => {
    await session.query("SELECT pg_logical_emit_message(true, '', repeat('x', $1))", [bytes]);
    return await insertLsn(session);
  };
  for (;;) {
    const before = await insertLsn(session);
    const after = await emit(8);
    const left = PAGE - (after % PAGE);
    const bytes = Number(left - (after - before)) + 8;
    if (before / PAGE !== after / PAGE || bytes < 8) continue;
    // Longer records have a longer header; the next round is right then.
    if ((await emit(bytes)) === after + left + 24n) return after + left;
  }
}

/** Where a compute found the end of storage's log. A server may have written a record of its own before it was dead. */
const syncedAt = (compute: Compute): string => /safekeepers synced at LSN ([0-9A-F/]+)/.exec(compute.output)?.[1] ?? "";

describe.each([14, 17])("where WAL goes on under PostgreSQL %i", (major) => {
  const pgbin = installation(major).postgres;

  test("storage-protocols.md case 49: behind a switch record: at a segment's start, also over a reconnect of storage", async () => {
    await using store = await TestStore.start();
    const storage = await store.timeline(major);
    await using first = await runOn(storage, { pgbin });
    await first.query("CREATE TABLE t (n int)");
    await first.query("SELECT pg_switch_wal()");
    // The padding behind the record is sent like other WAL, although storage has counted it already.
    await first.query("INSERT INTO t VALUES (0)");
    await first.query("SELECT pg_switch_wal()");
    await store.kill();
    await store.restart();
    await first.query("INSERT INTO t VALUES (1)");
    let compute = first;
    for (let [wanted, found] = [0n, 1n]; found !== wanted; ) {
      const switched = parseLsn(String(await compute.query("SELECT pg_switch_wal()")));
      wanted = segmentStart(segmentNumber(switched - 1n) + 1n);
      await until(
        async () =>
          (await compute.query(`SELECT bool_or(flush_lsn >= '${formatLsn(wanted)}') FROM pg_stat_replication`)) ===
          true,
      );
      await killAll(compute);
      await compute[Symbol.asyncDispose]();
      compute = await runOn(storage, { pgbin });
      found = parseLsn(syncedAt(compute));
    }
    await using second = compute;
    await second.query("INSERT INTO t VALUES (2)");
    expect(await second.query("SELECT sum(n)::int FROM t")).toBe(3);
  });

  test("storage-protocols.md case 49: at a page's start", async () => {
    await using store = await TestStore.start();
    const storage = await store.timeline(major);
    let compute = await runOn(storage, { pgbin });
    await compute.query("CREATE TABLE t (n int)");
    await compute.query("INSERT INTO t VALUES (1)");
    for (let [wanted, found] = [0n, 1n]; found !== wanted; ) {
      wanted = await fillPage(await compute.connect());
      await killAll(compute);
      await compute[Symbol.asyncDispose]();
      compute = await runOn(storage, { pgbin });
      found = parseLsn(syncedAt(compute));
    }
    await using second = compute;
    await second.query("INSERT INTO t VALUES (2)");
    expect(await second.query("SELECT sum(n)::int FROM t")).toBe(3);
  });

  test("storage-protocols.md case 48: an immediate stop in the middle of a large record: the next start goes on before it", async () => {
    await using store = await TestStore.start();
    const storage = await store.timeline(major);
    await using first = await runOn(storage, { pgbin });
    await first.query("CREATE TABLE t (n int)");
    await first.query("INSERT INTO t VALUES (1)");
    const session = await first.connect();
    const began = await insertLsn(session);
    const large = session
      .query("SELECT pg_logical_emit_message(true, '', repeat('x', 200000000))")
      .catch(() => "ended");
    const sent = `SELECT bool_or(sent_lsn - '${formatLsn(began)}'::pg_lsn > 20000000) FROM pg_stat_replication`;
    await until(async () => (await first.query(sent)) === true);
    process.kill(await first.postmasterPid(), "SIGQUIT");
    expect(await large).toBe("ended");
    await first.exited;
    await using second = await runOn(storage, { pgbin });
    const start = parseLsn(syncedAt(second));
    expect(start).toBeLessThan(began + 1_000_000n);
    await second.query("INSERT INTO t VALUES (2)");
    expect(await second.query("SELECT sum(n)::int FROM t")).toBe(3);
  });
});

/** A server's own WAL, from an LSN to where it cannot be read any more. */
async function walk(pgdata: string, start: Lsn, refuseOverwrite: boolean): Promise<WalWalker> {
  const walker = new WalWalker(start, { refuseOverwrite });
  for (;;) {
    const file = join(pgdata, "pg_wal", walSegmentName(segmentNumber(walker.position)));
    if (!existsSync(file) || walker.failure !== undefined) return walker;
    walker.push((await readFile(file)).subarray(segmentOffset(walker.position)));
  }
}

forEachMajor(
  "storage-protocols.md case 48: without the cut a strict record tracker refuses what follows",
  async (server) => {
    const settings = { restart_after_crash: "on", wal_recycle: "off", wal_keep_size: "2GB" };
    await using running = await startServer({ installation: server, settings });
    await running.query("CREATE TABLE public.t (n int)");
    const session = await running.connect();
    session.on("error", () => undefined);
    const began = await insertLsn(session);
    const { rows } = await session.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
    const large = session
      .query("SELECT pg_logical_emit_message(true, '', repeat('x', 200000000))")
      .catch(() => "ended");
    const third = segmentNumber(began) + 2n;
    await until(() => existsSync(join(running.pgdata, "pg_wal", walSegmentName(third))));
    process.kill(rows[0]?.pid ?? -1, "SIGKILL");
    expect(await large).toBe("ended");
    // It recovers by itself, on the torn record.
    await until(() =>
      running.query("INSERT INTO public.t VALUES (1)").then(
        () => true,
        () => false,
      ),
    );
    const { failure } = await walk(running.pgdata, began, true);
    expect(failure?.reason).toBe("page overwrites a record that was given up");
    expect((await walk(running.pgdata, began, false)).end).toBeGreaterThan(failure?.at ?? 0n);
  },
);
