import { expect } from "vitest";
import { formatLsn, parseLsn } from "../../src/wire/lsn.ts";
import type { Compute } from "../support/compute_ctl.ts";
import { runOn } from "../support/compute_on.ts";
import { forEachMajor } from "../support/postgres.ts";
import { TestStore } from "../support/store.ts";

/** One more row, and where the WAL ends with it. */
async function insert(compute: Compute): Promise<string> {
  await compute.query("INSERT INTO t DEFAULT VALUES");
  return String(await compute.query("SELECT pg_current_wal_flush_lsn()"));
}

forEachMajor(
  "storage-protocols.md case 28: static computes at LSNs of several lives",
  async ({ major, postgres: pgbin }) => {
    await using store = await TestStore.start();
    const whole = await store.timeline(major);
    const { libpq_url = "", grpc_url = "" } = whole.pageserver;
    // Both protocols have to say that it is for a standby.
    const storage = { ...whole, pageserver: major % 2 === 0 ? { grpc_url } : { libpq_url } };
    const moments: { lsn: string; rows: number }[] = [];
    // Every start writes a shutdown checkpoint: that of the recovery, and that of a stop in order.
    for (const life of [1, 2, 3]) {
      await using compute = await runOn(storage, { pgbin });
      if (life === 1)
        await compute.query(
          "CREATE TABLE t (n int GENERATED ALWAYS AS IDENTITY, filler text DEFAULT repeat('x', 2000))",
        );
      for (const _row of [1, 2]) moments.push({ lsn: await insert(compute), rows: moments.length + 1 });
      if (life === 3) compute.child.kill("SIGKILL");
      await compute.stop();
    }
    // Inside the record that follows: what counts is the end of the one before.
    const [first] = moments;
    if (first) moments.push({ lsn: formatLsn(parseLsn(first.lsn) + 8n), rows: first.rows });
    for (const { lsn, rows } of moments) {
      await using compute = await runOn(storage, { pgbin, more: { mode: { Static: lsn } } });
      expect(await compute.query("SELECT count(*)::int FROM t"), `at ${lsn}`).toBe(rows);
      expect(await compute.query("SELECT pg_is_in_recovery()")).toBe(true);
      await expect(compute.query("INSERT INTO t DEFAULT VALUES")).rejects.toMatchObject({ code: "25006" });
      await compute.stop();
      expect(compute.output).not.toMatch(/PANIC|FATAL: {2}(?!terminating)/);
    }
    await using primary = await runOn(storage, { pgbin });
    await insert(primary);
    expect(await primary.query("SELECT count(*)::int FROM t")).toBe(7);
  },
);
