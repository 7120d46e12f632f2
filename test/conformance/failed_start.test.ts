import { readdir } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { type ComputeOnOptions, specAt, startOn } from "../support/compute_on.ts";
import { isAlive, processesIn } from "../support/processes.ts";
import { scriptedPostgres } from "../support/scripted_postgres.ts";
import { useStore } from "../support/store.ts";

const store = useStore();

async function failing(options: ComputeOnOptions) {
  const storage = await store().timeline();
  return { storage, compute: await startOn(storage, options) };
}

describe.concurrent("a start that fails", () => {
  test("lifecycle.md case 32, lifecycle.md case 66, http-api.md case 46: Postgres exits before it is ready: told for 30 s, then exit code 1", async () => {
    await using scripted = await scriptedPostgres({ start: "echo 'FATAL:  no luck today' >&2; exit 1" });
    const { compute, storage } = await failing({ pgbin: scripted.pgbin });
    await using _ = compute;
    const error = await compute.failure();
    const failed = performance.now();
    expect(error).toContain("Postgres exited unexpectedly with code 1");
    expect(error).toContain("no luck today");
    const refused = { error: "invalid compute status: failed" };
    const configured = await compute.configure(specAt(compute, storage));
    expect([configured.status, await configured.json()]).toEqual([412, refused]);
    const terminated = await compute.request("/terminate", { method: "POST" });
    expect([terminated.status, await terminated.json()]).toEqual([412, refused]);
    expect(await compute.metrics()).toContain('status="failed"} 1');
    expect(compute.output).toMatch(/ ERROR .*could not start the compute node: /);
    expect(compute.output).toContain("giving control plane 30s to collect the error before shutdown");
    let answers = 0;
    let ended = false;
    void compute.exited.then(() => (ended = true));
    while (!ended) {
      const status = await compute.status().catch(() => undefined);
      if (status === undefined) continue;
      expect(status).toMatchObject({ status: "failed", error });
      answers++;
      await delay(100);
    }
    expect(await compute.exited).toEqual({ code: 1, signal: null });
    expect(answers).toBeGreaterThan(100);
    const lived = performance.now() - failed;
    expect(lived).toBeGreaterThan(28_000);
    expect(lived).toBeLessThan(36_000);
    expect(compute.output).not.toContain("syncing safekeepers on shutdown");
  });

  // 60 s, unless the program under test lets itself be told.
  test("lifecycle.md case 33: Postgres never becomes ready: failed, no process is left, and no sync", {
    timeout: 90_000,
  }, async () => {
    const sync = "if [ -s $dir/starts ]; then touch $dir/late; fi\n  echo 0/0";
    await using scripted = await scriptedPostgres({ sync, start: "exec sleep 1000" });
    const { compute } = await failing({ pgbin: scripted.pgbin, env: { COMPUTE_CTL_READY_TIMEOUT: "2" } });
    await using _ = compute;
    expect(await compute.failure()).toContain("timed out while waiting for Postgres to start");
    const starts = await scripted.starts();
    expect(starts).toHaveLength(1);
    for (const pid of starts) expect(await isAlive(pid)).toBe(false);
    await compute.stop();
    expect(await readdir(scripted.directory)).not.toContain("late");
  });

  test("lifecycle.md case 67: it fails after Postgres was up: at the first `failed` no process is left", {
    timeout: 90_000,
  }, async () => {
    // Up, and taking no sessions for ever: it says `standby`, which is not ready.
    const { compute } = await failing({
      more: { mode: "Replica" },
      settings: { hot_standby: false },
      env: { COMPUTE_CTL_READY_TIMEOUT: "3" },
    });
    await using _ = compute;
    await compute.says("starting PostgreSQL");
    expect(await compute.failure()).toContain("timed out while waiting for Postgres to start");
    expect(await processesIn(compute.pgdata)).toEqual([]);
  });

  test("lifecycle.md case 68: a setting that Postgres refuses: its own words are in `error`", async () => {
    const { compute } = await failing({ settings: { shared_buffers: "oops" } });
    await using _ = compute;
    expect(await compute.failure()).toMatch(/invalid value for parameter "shared_buffers": "oops"/);
    expect(await processesIn(compute.pgdata)).toEqual([]);
  });

  test("a program that cannot be executed, or is no server, is exit code 1 or a failed start, and says so", async () => {
    for (const pgbin of ["/nonexistent/bin/postgres", "/bin/true"]) {
      const { compute } = await failing({ pgbin });
      await using _ = compute;
      await Promise.race([compute.exited, compute.failure()]);
      expect(compute.output).toContain(pgbin);
      if (compute.child.exitCode !== null) expect(compute.child.exitCode).toBe(1);
    }
  });

  test("a signal in the 30 s ends it at once with 1", async () => {
    const { compute } = await failing({ settings: { shared_buffers: "oops" } });
    await using _ = compute;
    await compute.failure();
    const began = performance.now();
    expect(await compute.stop()).toEqual({ code: 1, signal: null });
    expect(performance.now() - began).toBeLessThan(5_000);
  });
});
