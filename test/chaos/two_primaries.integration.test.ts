import { describe, expect, test } from "vitest";
import { runOn, startOn } from "../support/compute_on.ts";
import { installation } from "../support/postgres.ts";
import { processesIn } from "../support/processes.ts";
import { startLibpqServer } from "../support/scripted_libpq_server.ts";
import { TestStore } from "../support/store.ts";
import { until } from "../support/until.ts";
import { Ledger } from "./ledger.ts";

describe("two primaries on one timeline", () => {
  test.each([14, 17])(
    "only the newer one commits, and the older one ends by itself with exit code 4 within 5 s (PostgreSQL %i)",
    async (major) => {
      await using store = await TestStore.start();
      const storage = await store.timeline(major);
      const pgbin = installation(major).postgres;
      await using older = await runOn(storage, { pgbin });
      const ledger = await Ledger.create(older);
      const load = ledger.load(older, 1);
      await ledger.progress(50);
      const newer = await startOn(storage, { pgbin });
      await using _ = newer;
      await newer.says("safekeepers synced at LSN");
      const elected = performance.now();
      expect(await older.exited).toEqual({ code: 4, signal: null });
      expect(performance.now() - elected).toBeLessThan(5_000);
      await load;
      expect(older.output).toContain("another compute took over");
      expect(await processesIn(older.pgdata)).toEqual([]);
      await newer.reach("running");
      // What the older one acknowledged, to its last breath, is what the newer one was started from.
      await ledger.verify(newer);
      const more = ledger.load(newer, 2);
      await ledger.progress(50);
      expect((await newer.status()).status).toBe("running");
      newer.child.kill("SIGKILL");
      process.kill(await newer.postmasterPid(), "SIGKILL");
      await more;
      await using last = await runOn(storage, { pgbin });
      await ledger.verify(last);
    },
  );

  test("its status says why for as long as it can be asked", async () => {
    await using store = await TestStore.start();
    const storage = await store.timeline();
    await using older = await runOn(storage);
    const seen: { status: string; error: string | null }[] = [];
    let over = false;
    void older.exited.then(() => (over = true));
    await using newer = await startOn(storage);
    while (!over)
      await older.status().then(
        (report) => seen.push(report),
        () => undefined,
      );
    expect(seen.at(-1)).toMatchObject({
      status: "failed",
      error: expect.stringContaining("another compute took over"),
    });
    await newer.reach("running");
  });

  test("one that is still starting ends the same way, and its Postgres never runs", async () => {
    await using store = await TestStore.start();
    const storage = await store.timeline();
    // Elected, it waits for a base backup that does not come.
    await using silent = await startLibpqServer({ answer: () => undefined });
    const libpq_url = `postgresql://no_user@127.0.0.1:${silent.port}`;
    await using older = await startOn({ ...storage, pageserver: { libpq_url } });
    await until(() => silent.sessions.length > 0);
    await using newer = await startOn(storage);
    await newer.says("safekeepers synced at LSN");
    const elected = performance.now();
    expect(await older.exited).toEqual({ code: 4, signal: null });
    expect(performance.now() - elected).toBeLessThan(5_000);
    expect(older.output).not.toContain("PG:");
    await newer.reach("running");
    expect(await newer.query("SELECT 1")).toBe(1);
  });
});
