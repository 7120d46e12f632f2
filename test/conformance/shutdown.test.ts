import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { describe, expect, test } from "vitest";
import type { Compute } from "../support/compute_ctl.ts";
import { runOn, startOn } from "../support/compute_on.ts";
import { installation, runAs } from "../support/postgres.ts";
import { isAlive, processesIn } from "../support/processes.ts";
import { startLibpqServer } from "../support/scripted_libpq_server.ts";
import { useStore } from "../support/store.ts";
import { until } from "../support/until.ts";

const store = useStore();
const LSN = /^[0-9A-F]+\/[0-9A-F]+$/;

function lsnNumber(text: string): bigint {
  const [high = "", low = ""] = text.split("/");
  return (BigInt(`0x${high}`) << 32n) + BigInt(`0x${low}`);
}

/** Commits something; the LSN behind it. */
async function commit(compute: Compute): Promise<bigint> {
  await compute.query("CREATE TABLE t AS SELECT g FROM generate_series(1, 10000) g");
  return lsnNumber(String(await compute.query("SELECT pg_current_wal_flush_lsn()")));
}

async function terminate(compute: Compute, query = ""): Promise<{ status: number; lsn: string }> {
  const response = await compute.request(`/terminate${query}`, { method: "POST" });
  return { status: response.status, ...((await response.json()) as { lsn: string }) };
}

describe.concurrent("/terminate of a running primary", () => {
  test("lifecycle.md case 52, http-api.md case 21: immediate: an LSN behind the last commit, exit code 0 within 2 s", async () => {
    await using compute = await runOn(await store().timeline());
    const committed = await commit(compute);
    const { status, lsn } = await terminate(compute, "?mode=immediate");
    const answered = performance.now();
    expect(status).toBe(200);
    expect(lsn).toMatch(LSN);
    expect(lsnNumber(lsn)).toBeGreaterThanOrEqual(committed);
    expect(await processesIn(compute.pgdata)).toEqual([]);
    expect(await compute.exited).toEqual({ code: 0, signal: null });
    expect(performance.now() - answered).toBeLessThan(2_000);
    expect(compute.output).toContain("Changing compute status from running to termination-pending-immediate");
  });

  test("lifecycle.md case 53, http-api.md case 22, http-api.md case 44, metrics-and-logs.md case 4: fast: it is there for 30 s, and says the same again", async () => {
    await using compute = await runOn(await store().timeline());
    const committed = await commit(compute);
    const first = await terminate(compute);
    const answered = performance.now();
    expect(first.status).toBe(200);
    expect(lsnNumber(first.lsn)).toBeGreaterThanOrEqual(committed);
    expect(await terminate(compute)).toEqual({ status: 201, lsn: first.lsn });
    expect((await terminate(compute, "?mode=slow")).status).toBe(400);
    expect((await terminate(compute, "?x=1")).status).toBe(400);
    expect(await compute.status()).toMatchObject({ status: "terminated", error: null });
    const up = (await compute.metrics()).split("\n").filter((line) => line.startsWith("compute_ctl_up{"));
    expect(up).toEqual(['compute_ctl_up{build_tag="latest",status="terminated"} 1']);
    expect(await processesIn(compute.pgdata)).toEqual([]);
    expect(await compute.exited).toEqual({ code: 0, signal: null });
    const lived = performance.now() - answered;
    expect(lived).toBeGreaterThan(28_000);
    expect(lived).toBeLessThan(36_000);
  });

  test("a second one while the first is under way is 412", async () => {
    await using compute = await runOn(await store().timeline());
    const session = await compute.connect();
    const both = await Promise.all([terminate(compute, "?mode=immediate"), terminate(compute, "?mode=immediate")]);
    expect(both.map(({ status }) => status).sort()).toEqual([200, 412]);
    await session.end().catch(() => undefined);
  });
});

describe.concurrent("Postgres ends by itself", () => {
  test("lifecycle.md case 56: pg_ctl -m fast stop: exit code 0 within 10 s", async () => {
    await using compute = await runOn(await store().timeline());
    const { binDir } = installation(17);
    const began = performance.now();
    const argv = ["stop", "-D", compute.pgdata, "-w", "-m", "fast"];
    const identity = runAs ? { uid: runAs.uid, gid: runAs.gid } : {};
    await execa(join(binDir, "pg_ctl"), argv, { cwd: "/", ...identity });
    expect(await compute.exited).toEqual({ code: 0, signal: null });
    expect(performance.now() - began).toBeLessThan(10_000);
  });

  test("lifecycle.md case 57: kill -9 of the postmaster: exit code 1", async () => {
    await using compute = await runOn(await store().timeline());
    process.kill(await compute.postmasterPid(), "SIGKILL");
    expect(await compute.exited).toEqual({ code: 1, signal: null });
    expect(compute.output).toContain("Postgres exited with code signal: 9 (SIGKILL), shutting down");
  });

  test("lifecycle.md case 60, postgres-config.md case 38: a core file in PGDATA is told", async () => {
    await using compute = await runOn(await store().timeline());
    const core = join(compute.pgdata, "core.123");
    await writeFile(core, "");
    await terminate(compute, "?mode=immediate");
    expect(await compute.exited).toEqual({ code: 0, signal: null });
    expect(compute.output).toMatch(/ WARN .*core dump found: /);
    expect(compute.output).toContain(`core dump found: ${core}, collecting backtrace`);
  });
});

describe.concurrent("signals", () => {
  test.each<NodeJS.Signals>(["SIGTERM", "SIGINT", "SIGQUIT"])(
    "lifecycle.md case 58: %s: Postgres is gone before we are, exit code 1, within 9 s",
    async (signal) => {
      await using compute = await runOn(await store().timeline());
      // A session that works does not hold it up.
      const session = await compute.connect();
      const busy = session.query("SELECT pg_sleep(100)").catch((error: unknown) => error);
      const working = `SELECT count(*)::int FROM pg_stat_activity WHERE wait_event = 'PgSleep'`;
      await until(async () => (await compute.query(working)) === 1);
      const pid = await compute.postmasterPid();
      const began = performance.now();
      expect(await compute.stop(signal)).toEqual({ code: 1, signal: null });
      expect(performance.now() - began).toBeLessThan(9_000);
      expect(await isAlive(pid)).toBe(false);
      expect(await processesIn(compute.pgdata)).toEqual([]);
      expect(await busy).toBeInstanceOf(Error);
      expect(compute.output).toContain("database system is shut down");
      expect(compute.output).toMatch(/ INFO received \d+ termination signal/);
      expect(compute.output).not.toContain("syncing safekeepers on shutdown");
    },
  );

  test("while a base backup is waited for: exit code 1, Postgres was never started", async () => {
    await using pageserver = await startLibpqServer({ answer: () => undefined });
    const url = `postgresql://no_user@127.0.0.1:${pageserver.port}`;
    await using compute = await startOn({ ...(await store().timeline()), pageserver: { libpq_url: url } });
    await until(() => pageserver.sessions.length > 0);
    expect(await compute.stop()).toEqual({ code: 1, signal: null });
    expect(compute.output).not.toContain("PG:");
  });
});
