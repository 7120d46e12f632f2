import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { copyFile, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { configureLocalProxy, terminateLocalProxy } from "../../src/neighbours/local_proxy.ts";
import { terminatePgbouncer } from "../../src/neighbours/pgbouncer.ts";
import { readProcess } from "../../src/pgdata/read_process.ts";
import { collectingLog } from "../support/collecting_log.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";

/** Of util-linux. */
const FLOCK = "/usr/bin/flock";

/** A harmless process that looks like a daemon to whoever asks for its name. */
async function startAs(directory: string, name: string): Promise<ChildProcess & AsyncDisposable & { pid: number }> {
  const program = join(directory, name);
  await copyFile("/bin/sleep", program);
  const child = spawn(program, ["1000"], { stdio: "ignore" });
  await once(child, "spawn");
  if (child.pid === undefined) throw new Error("not started");
  return Object.assign(child, {
    pid: child.pid,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGKILL");
      await once(child, "exit");
    },
  });
}

const config = {
  jwks: [
    {
      id: "1",
      role_names: ["authenticated"],
      jwks_url: "https://issuer.example/jwks.json",
      provider_name: "issuer",
      jwt_audience: null,
    },
  ],
  tls: null,
};

describe("local_proxy", () => {
  test("postgres-config.md case 34: config.json holds the jwks; a live local_proxy gets SIGHUP", async () => {
    await using directory = await temporaryDirectory();
    const { log } = collectingLog();
    const files = { configFile: join(directory.path, "config.json"), pidFile: join(directory.path, "pid") };
    await using proxy = await startAs(directory.path, "local_proxy");
    await writeFile(files.pidFile, `${proxy.pid}\n`);
    const exited = once(proxy, "exit");
    await configureLocalProxy({ ...files, config, tls: null, readProcess, log });
    expect(JSON.parse(await readFile(files.configFile, "utf8"))).toEqual({ jwks: config.jwks });
    // A sleep does not handle it, so that its end shows what it got.
    expect(await exited).toEqual([null, "SIGHUP"]);
  });

  test("postgres-config.md case 34: without a live local_proxy nothing is signalled", async () => {
    await using directory = await temporaryDirectory();
    const { log, lines } = collectingLog();
    const files = { configFile: join(directory.path, "config.json"), pidFile: join(directory.path, "pid") };
    await using stranger = await startAs(directory.path, "somebody_else");
    for (const text of [undefined, `${stranger.pid}`, `${process.pid}`, "0", "1", "-1", "999999999", "", "no pid"]) {
      if (text !== undefined) await writeFile(files.pidFile, text);
      await configureLocalProxy({ ...files, config, tls: null, readProcess, log });
      expect(await terminateLocalProxy({ ...files, readProcess, log }), text).toBe(false);
    }
    expect(await readProcess(stranger.pid)).toMatchObject({ name: "somebody_else", isZombie: false });
    expect(lines).toEqual([]);
  });

  test.runIf(existsSync(FLOCK))("a flock on the pid file vouches for a process of any name", async () => {
    await using directory = await temporaryDirectory();
    const { log } = collectingLog();
    const pidFile = join(directory.path, "pid");
    await writeFile(pidFile, "");
    const holder = spawn(FLOCK, ["--no-fork", pidFile, "sleep", "1000"], { stdio: "ignore" });
    await once(holder, "spawn");
    const exited = once(holder, "exit");
    await writeFile(pidFile, String(holder.pid));
    // Until it has taken the lock it is a process like any other.
    await expect.poll(() => terminateLocalProxy({ pidFile, readProcess, log })).toBe(true);
    expect(await exited).toEqual([null, "SIGTERM"]);
  });

  test("a missing directory is one warning", async () => {
    await using directory = await temporaryDirectory();
    const { log, lines } = collectingLog();
    const configFile = join(directory.path, "none", "config.json");
    await configureLocalProxy({ configFile, config, tls: null, readProcess, log });
    expect(lines).toEqual([` WARN local_proxy is not configured: there is no directory for ${configFile}`]);
    expect(await readdir(directory.path)).toEqual([]);
  });
});

describe("pgbouncer", () => {
  test("is killed when the pid file names a pgbouncer", async () => {
    await using directory = await temporaryDirectory();
    const { log } = collectingLog();
    const pidFile = join(directory.path, "pgbouncer.pid");
    await using pgbouncer = await startAs(directory.path, "pgbouncer");
    await writeFile(pidFile, `${pgbouncer.pid}\n`);
    const exited = once(pgbouncer, "exit");
    expect(await terminatePgbouncer({ pidFile, readProcess, log })).toBe(true);
    expect(await exited).toEqual([null, "SIGKILL"]);
    await expect.poll(() => terminatePgbouncer({ pidFile, readProcess, log })).toBe(false);
  });

  test("a process of another name lives on, whatever the pid file says", async () => {
    await using directory = await temporaryDirectory();
    const { log, lines } = collectingLog();
    const pidFile = join(directory.path, "pgbouncer.pid");
    await using stranger = await startAs(directory.path, "somebody_else");
    await writeFile(pidFile, String(stranger.pid));
    expect(await terminatePgbouncer({ pidFile, readProcess, log })).toBe(false);
    expect(await terminatePgbouncer({ pidFile: join(directory.path, "none"), readProcess, log })).toBe(false);
    expect(await readProcess(stranger.pid)).toMatchObject({ name: "somebody_else", isZombie: false });
    expect(lines).toEqual([]);
  });

  test("a pid file that cannot be read is a warning", async () => {
    await using directory = await temporaryDirectory();
    const { log, lines } = collectingLog();
    expect(await terminatePgbouncer({ pidFile: directory.path, readProcess, log })).toBe(false);
    expect(lines[0]).toMatch(/^ WARN could not terminate pgbouncer: EISDIR/);
  });
});
