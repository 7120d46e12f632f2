import { expect } from "vitest";
import { runOn } from "../support/compute_on.ts";
import { forEachMajor } from "../support/postgres.ts";
import { TestStore } from "../support/store.ts";

const settings = { max_prepared_transactions: "5" };

forEachMajor("a prepared transaction outlives compute and store", async ({ major, postgres: pgbin }) => {
  await using store = await TestStore.start();
  const storage = await store.timeline(major);
  {
    await using compute = await runOn(storage, { pgbin, settings });
    await compute.query("CREATE TABLE t (n int)");
    const session = await compute.connect();
    for (const sql of ["BEGIN", "INSERT INTO t VALUES (1)", "PREPARE TRANSACTION 'kept'"]) await session.query(sql);
    await session.end();
    process.kill(await compute.postmasterPid(), "SIGKILL");
    compute.child.kill("SIGKILL");
    await store.kill();
    await store.restart();
  }
  await using compute = await runOn(storage, { pgbin, settings });
  expect(await compute.query("SELECT array_agg(gid) FROM pg_prepared_xacts")).toEqual(["kept"]);
  expect(await compute.query("SELECT count(*)::int FROM t")).toBe(0);
  await compute.query("COMMIT PREPARED 'kept'");
  expect(await compute.query("SELECT count(*)::int FROM t")).toBe(1);
});
