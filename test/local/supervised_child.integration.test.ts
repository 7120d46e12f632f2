import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { reapLeftovers } from "../../src/local/leftovers.ts";
import { LogFile } from "../../src/local/log_file.ts";
import { writeProcessRecord } from "../../src/local/process_record.ts";
import { type ChildPlan, SupervisedChild, type SupervisorOptions } from "../../src/local/supervised_child.ts";
import { isRunning, type ProcessIdentity, readProcess } from "../../src/postgres/process_identity.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";

const CHILD = new URL("programs/child.mjs", import.meta.url).pathname;
const SERVICE = new URL("programs/service.mjs", import.meta.url).pathname;
let directory: string;
let ready: string;
let reports: string[];

beforeEach(async () => {
  const temporary = await temporaryDirectory();
  directory = temporary.path;
  ready = join(directory, "ready");
  reports = [];
  onTestFinished(() => temporary[Symbol.asyncDispose]());
});

async function pidFrom(file: string, signal?: AbortSignal): Promise<number> {
  for (;;) {
    const pid = Number(await readFile(file, "utf8").catch(() => ""));
    if (pid > 0) return pid;
    await delay(10, undefined, signal && { signal });
  }
}

function supervised(mode: string, more: Partial<ChildPlan & SupervisorOptions> = {}): SupervisedChild {
  const child = new SupervisedChild(
    {
      name: "child",
      program: process.execPath,
      argv: () => [CHILD, mode, ready],
      env: { PATH: process.env.PATH },
      cwd: directory,
      log: new LogFile(join(directory, "child.log")),
      rungs: [{ signal: "SIGTERM", waitMs: 5000 }],
      prepare: () => writeFile(ready, ""),
      ready: async (signal) => void (await pidFrom(ready, signal)),
      ...more,
    },
    { procsDir: directory, report: (line) => reports.push(line), ...more },
  );
  onTestFinished(() => child.stop("immediate"));
  return child;
}

const records = async (): Promise<string[]> => (await readdir(directory)).filter((name) => name.endsWith(".json"));
const identify = async (pid: number | undefined): Promise<ProcessIdentity> =>
  (await readProcess(pid ?? -1)) ?? expect.fail(`no process ${pid}`);

async function gone(identity: ProcessIdentity): Promise<void> {
  while (await isRunning(identity)) await delay(20);
}

describe("a supervised child", () => {
  test("is recorded while it runs, leads its own process group, and leaves nothing when it is stopped", async () => {
    const cleaned: string[] = [];
    const child = supervised("run", {
      cleanUp: async () => void cleaned.push("clean"),
      pidFile: join(directory, "pid"),
    });
    await child.start();
    expect(child.state).toBe("running");
    const identity = await identify(child.pid);
    expect(JSON.parse(await readFile(join(directory, "child.json"), "utf8"))).toEqual({
      pid: identity.pid,
      start_time: identity.startTime,
      argv0: process.execPath,
    });
    expect(await readFile(join(directory, "pid"), "utf8")).toBe(`${identity.pid}\n`);
    // Signal 0 to the group: it exists.
    expect(process.kill(-identity.pid, 0)).toBe(true);
    await Promise.all([child.stop(), child.stop()]);
    expect(child.state).toBe("stopped");
    expect(await isRunning(identity)).toBe(false);
    expect(await records()).toEqual([]);
    expect(await readdir(directory)).not.toContain("pid");
    expect(cleaned).toEqual(["clean"]);
    expect(reports).toEqual([]);
  });

  test("that ends before it is ready fails the start with its last lines", async () => {
    const child = supervised("exit");
    const failure = await child.start().catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "child_failed", message: expect.stringContaining("exit status: 3") });
    expect(failure).toMatchObject({ message: expect.stringContaining("last words") });
    expect(child.state).toBe("crashed");
    expect(await records()).toEqual([]);
  });

  test("that ends with its final exit code is not started again", async () => {
    const child = supervised("run", {
      argv: () => [
        "-e",
        `fs.writeFileSync(${JSON.stringify(ready)}, String(process.pid)); setInterval(() => fs.existsSync(${JSON.stringify(`${ready}.go`)}) && process.exit(4), 10)`,
      ],
      finalExit: { code: 4, meaning: "it was replaced" },
    });
    await child.start();
    await writeFile(`${ready}.go`, "");
    while (child.state !== "failed") await delay(10);
    expect(reports).toEqual([
      `child ended unexpectedly (exit status: 4): it was replaced: it is not started again; see ${join(directory, "child.log")}`,
    ]);
    expect(await records()).toEqual([]);
  });

  test("that says it cannot is ended before the start fails", async () => {
    let identity: ProcessIdentity | undefined;
    const child = supervised("run", {
      ready: async (signal) => {
        identity = await identify(await pidFrom(ready, signal));
        throw new Error("it cannot");
      },
    });
    await expect(child.start()).rejects.toThrow("it cannot");
    expect(await isRunning(identity ?? expect.fail("never ready"))).toBe(false);
    expect(await records()).toEqual([]);
  });

  test("whose program does not exist fails the start", async () => {
    const child = supervised("run", { program: join(directory, "none") });
    await expect(child.start()).rejects.toMatchObject({ code: "spawn_failed" });
  });

  test("is started again when it is killed, later each time, and given up at the fifth failure in ten minutes", async () => {
    const pauses: number[] = [];
    const child = supervised("run", {
      now: () => 0,
      pause: async (ms) => void pauses.push(ms),
    });
    await child.start();
    const pids = new Set<number>();
    for (let round = 1; round <= 5; round++) {
      const pid = child.pid ?? expect.fail("not running");
      pids.add(pid);
      process.kill(pid, "SIGKILL");
      while (child.pid === pid || (child.state !== "running" && child.state !== "failed")) await delay(10);
    }
    expect(pids.size).toBe(5);
    expect(child.state).toBe("failed");
    expect(pauses).toEqual([1000, 2000, 4000, 8000]);
    expect(reports[0]).toContain("signal: 9 (SIGKILL)");
    expect(reports.at(-1)).toContain("not started again");
    expect(await records()).toEqual([]);
  });

  test("that cannot be started again counts that as a failure", async () => {
    let round = 0;
    const child = supervised("run", {
      now: () => 0,
      pause: async () => undefined,
      argv: () => [CHILD, round++ === 0 ? "run" : "exit", ready],
    });
    await child.start();
    process.kill(child.pid ?? -1, "SIGKILL");
    while (child.state !== "failed") await delay(10);
    expect(round).toBe(5);
    expect(reports.at(-1)).toContain("last words");
  });

  test("is not started again when it is stopped while it waits for that", async () => {
    const waiting = Promise.withResolvers<void>();
    const child = supervised("run", {
      pause: async (_ms, signal) => {
        waiting.resolve();
        await once(signal, "abort");
        signal.throwIfAborted();
      },
    });
    await child.start();
    process.kill(child.pid ?? -1, "SIGKILL");
    await waiting.promise;
    await child.stop();
    expect(child.state).toBe("stopped");
    expect(child.pid).toBeUndefined();
  });

  test("is ended when it is stopped before it is ready (the supervisor's part of neon-local.md case 16)", async () => {
    const spawned = Promise.withResolvers<ProcessIdentity>();
    const child = supervised("run", {
      ready: async (signal) => {
        spawned.resolve(await identify(await pidFrom(ready, signal)));
        await once(signal, "abort");
      },
    });
    const started = child.start();
    const identity = await spawned.promise;
    await Promise.all([child.stop(), expect(started).rejects.toMatchObject({ code: "stopping" })]);
    expect(await isRunning(identity)).toBe(false);
    await expect(child.start()).rejects.toMatchObject({ code: "stopping" });
  });

  test("that ignores signals is killed after the last one", async () => {
    const rungs = [
      { signal: "SIGTERM", waitMs: 200 },
      { signal: "SIGQUIT", waitMs: 200 },
    ] as const;
    const child = supervised("stubborn", { rungs });
    await child.start();
    const identity = await identify(child.pid);
    await child.stop();
    expect(await isRunning(identity)).toBe(false);
    const log = await readFile(join(directory, "child.log"), "utf8");
    expect(log).toMatch(/ignored SIGTERM\nignored SIGQUIT/);
  });

  test("is hastened by a second, immediate stop", async () => {
    const rungs = [
      { signal: "SIGUSR1", waitMs: 600_000 },
      { signal: "SIGTERM", waitMs: 5000 },
    ] as const;
    // SIGUSR1 opens Node's debugger instead of ending it, unless that is switched off.
    const child = supervised("run", { rungs, env: { NODE_OPTIONS: "--disable-sigusr1" } });
    await child.start();
    const stopped = child.stop();
    await Promise.all([stopped, child.stop("immediate")]);
    expect(child.state).toBe("stopped");
  });
});

describe("when the service is killed", () => {
  test("its children see the end of the pipe and stop", async () => {
    const service = spawn(process.execPath, [SERVICE, ready, join(directory, "log")], { stdio: "ignore" });
    const identity = await identify(await pidFrom(ready));
    service.kill("SIGKILL");
    await gone(identity);
  });

  test("what is left of it is ended by the next one, if number and start time fit", async () => {
    const start = async (mode: string): Promise<ProcessIdentity> => {
      const file = join(directory, `${mode}-ready`);
      const left = spawn(process.execPath, [CHILD, mode, file], {
        detached: true,
        stdio: ["ignore", "ignore", "ignore", "pipe"],
        env: { NEON_LOCAL_SUPERVISOR_FD: "3" },
      });
      onTestFinished(() => void left.kill("SIGKILL"));
      return await identify(await pidFrom(file));
    };
    const [polite, stubborn, stranger] = [await start("run"), await start("stubborn"), await start("other")];
    const record = ({ pid, startTime }: ProcessIdentity) => ({ pid, start_time: startTime, argv0: "x" });
    await writeProcessRecord(directory, "polite", record(polite));
    await writeProcessRecord(directory, "stubborn", record(stubborn));
    await writeProcessRecord(directory, "stranger", { ...record(stranger), start_time: "another" });
    await writeFile(join(directory, "broken.json"), "{");
    await reapLeftovers({ procsDir: directory, termMs: 500, report: (line) => reports.push(line) });
    expect(await isRunning(polite)).toBe(false);
    expect(await isRunning(stubborn)).toBe(false);
    expect(await isRunning(stranger)).toBe(true);
    expect(await records()).toEqual([]);
    expect(reports).toHaveLength(2);
  });
});
