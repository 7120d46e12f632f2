import { once } from "node:events";
import { mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Owner } from "../../src/disk/atomic_file.ts";
import { isRunning } from "../../src/postgres/process_identity.ts";
import { runProgram } from "../../src/postgres/run_program.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";
import { LocalService, type LocalServiceOptions, NEON_LOCAL } from "./local_service.ts";

const isRoot = process.geteuid?.() === 0;
const nobody = { uid: 65_534, gid: 65_534 };

/** Why the tests cannot run as an ordinary user besides ourselves; undefined when they can. */
async function obstacle(): Promise<string | undefined> {
  if (!isRoot) return "these tests already run as an ordinary user";
  const runAs = { ...nobody, name: "nobody", home: "/" };
  for (const path of [NEON_LOCAL, process.execPath]) {
    const test = await runProgram("test", ["-r", path], { env: {}, runAs });
    if (test.code !== 0) return `${path} cannot be read by nobody`;
  }
  return undefined;
}

const why = await obstacle();
if (why !== undefined) console.log(`neon-local serve as another ordinary user is not tested: ${why}`);
const users: [string, Owner | undefined][] = [[isRoot ? "root" : "an ordinary user", undefined]];
if (why === undefined) users.push(["an ordinary user (nobody)", nobody]);

async function stateDirectory(user?: Owner): Promise<string> {
  const temporary = await temporaryDirectory({ owner: user });
  onTestFinished(() => temporary[Symbol.asyncDispose]());
  return join(temporary.path, "state");
}

async function serve(options: LocalServiceOptions): Promise<LocalService> {
  const service = new LocalService(options);
  onTestFinished(() => service[Symbol.asyncDispose]());
  return service;
}

describe.each(users)("neon-local serve as %s", (_name, user) => {
  test("prints one block, answers SQL, stops in order on SIGTERM, and runs again", async () => {
    const dir = await stateDirectory(user);
    const first = await serve({ dir, user });
    await first.started();
    expect(await first.query("SELECT 1 AS one, current_user")).toEqual([{ one: 1, current_user: "cloud_admin" }]);
    expect(first.stdout.match(/^neon-local runs PostgreSQL \d+/gm)).toHaveLength(1);
    expect(first.stdout).toContain("every commit that returned");
    await first.query("CREATE TABLE kept AS SELECT generate_series(1, 1000) n");
    expect([...(await first.running()).keys()].sort()).toEqual(["compute-main", "postgres", "storage-local"]);
    expect((await stat(join(dir, "pgs/main/config.json"))).mode & 0o777).toBe(0o600);
    if (user === undefined && isRoot) expect(first.stderr.match(/running as root/g)).toHaveLength(1);
    const branch = await readFile(join(dir, "state/branches/local/main.json"), "utf8");
    const { port } = new URL(first.connectionString);

    expect(await first.stop("SIGTERM")).toBe(0);
    expect(await first.left()).toEqual([]);
    const again = await serve({ dir, user, flags: ["--pg-port", port] });
    await again.started();
    expect(again.connectionString).toBe(first.connectionString);
    expect(await again.query("SELECT count(*)::int FROM kept")).toEqual([{ count: 1000 }]);
    await again.query("INSERT INTO kept VALUES (1001)");
    expect(await readFile(join(dir, "state/branches/local/main.json"), "utf8")).toBe(branch);
    expect(await again.stop("SIGINT")).toBe(0);
    expect(await again.left()).toEqual([]);
    // After Ctrl-C as after SIGTERM.
    const last = await serve({ dir, user });
    await last.started();
    expect(await last.query("SELECT count(*)::int FROM kept")).toEqual([{ count: 1001 }]);
    expect(await last.stop()).toBe(0);
  });

  test("neon-local.md case 20: when it is killed its children are gone within 15 s, and the next one brings all back", async () => {
    const dir = await stateDirectory(user);
    const killed = await serve({ dir, user });
    await killed.started();
    await killed.query("CREATE TABLE kept AS SELECT generate_series(1, 1000) n");
    expect(await killed.stop("SIGKILL")).toBe(null);
    // The next one does not wait for them: it has to reap.
    const next = await serve({ dir, user });
    const end = performance.now() + 15_000;
    while ((await killed.left()).length > 0 && performance.now() < end) await delay(50);
    expect(await killed.left()).toEqual([]);
    await next.started();
    expect(await next.query("SELECT count(*)::int FROM kept")).toEqual([{ count: 1000 }]);
    expect(await next.stop()).toBe(0);
  });

  test("when everything is killed at once the next one has every row", async () => {
    const dir = await stateDirectory(user);
    const killed = await serve({ dir, user });
    await killed.started();
    await killed.query("CREATE TABLE kept AS SELECT generate_series(1, 1000) n");
    const children = [...(await killed.running()).values()];
    killed.child.kill("SIGKILL");
    for (const { pid } of children) process.kill(pid, "SIGKILL");
    await killed.exited;
    const next = await serve({ dir, user });
    await next.started();
    expect(await next.query("SELECT count(*)::int FROM kept")).toEqual([{ count: 1000 }]);
    expect(await next.stop()).toBe(0);
  });
});

describe("neon-local serve", () => {
  test("neon-local.md case 19: restarts a compute that was killed, leaves no Postgres of it, and committed rows are there", async () => {
    const service = await serve({ dir: await stateDirectory() });
    await service.started();
    await service.query("CREATE TABLE kept AS SELECT generate_series(1, 1000) n");
    const before = await service.running();
    const [compute, postgres, store] = ["compute-main", "postgres", "storage-local"].map((name) => before.get(name));
    if (!compute || !postgres || !store) return expect.fail("not everything runs");
    process.kill(compute.pid, "SIGKILL");
    while (!service.stderr.includes("runs again")) await delay(50);
    expect(await isRunning(postgres)).toBe(false);
    expect(await isRunning(store)).toBe(true);
    expect(await service.query("SELECT count(*)::int FROM kept")).toEqual([{ count: 1000 }]);
    expect(service.stderr).toContain("runs again, with every commit that returned");
    const after = await service.running();
    expect(await service.stop()).toBe(0);
    for (const each of after.values()) expect(await isRunning(each)).toBe(false);
  });

  test("neon-local.md case 18: restarts a compute whose postmaster was killed, and committed rows are there", async () => {
    const service = await serve({ dir: await stateDirectory() });
    await service.started();
    await service.query("CREATE TABLE kept AS SELECT generate_series(1, 1000) n");
    process.kill((await service.running()).get("postgres")?.pid ?? -1, "SIGKILL");
    while (!service.stderr.includes("runs again")) await delay(50);
    expect(await service.query("SELECT count(*)::int FROM kept")).toEqual([{ count: 1000 }]);
    const after = await service.running();
    expect(await service.stop()).toBe(0);
    for (const each of after.values()) expect(await isRunning(each)).toBe(false);
  });

  test("restarts a storage that was killed on the same ports, while Postgres goes on", async () => {
    const service = await serve({ dir: await stateDirectory() });
    await service.started();
    const before = await service.running();
    const endpoints = join(service.dir, "storages/local/store_endpoints.json");
    const { pid: _pid, ...addresses } = JSON.parse(await readFile(endpoints, "utf8")) as Record<string, unknown>;
    process.kill(before.get("storage-local")?.pid ?? -1, "SIGKILL");
    while (!service.stderr.includes("runs again")) await delay(50);
    expect(JSON.parse(await readFile(endpoints, "utf8"))).toMatchObject(addresses);
    expect((await service.running()).get("postgres")).toEqual(before.get("postgres"));
    const after = await service.running();
    expect(await service.stop()).toBe(0);
    for (const each of after.values()) expect(await isRunning(each)).toBe(false);
  });

  test("stopped while it starts ends with 0 and leaves nothing", async () => {
    const service = await serve({ dir: await stateDirectory() });
    while ((await service.running()).size === 0) await delay(5);
    const early = await service.running();
    expect(await service.stop()).toBe(0);
    expect(service.stdout).toBe("");
    for (const each of early.values()) expect(await isRunning(each)).toBe(false);
  });

  test("the second on one directory exits with 6, on a port in use with 5", async () => {
    const dir = await stateDirectory();
    const service = await serve({ dir });
    await service.started();
    const second = await serve({ dir });
    expect(await second.exited).toBe(6);
    expect(second.stderr).toContain(`(pid ${service.child.pid})`);
    const { port } = new URL(service.connectionString);
    const other = await serve({ dir: await stateDirectory(), flags: ["--pg-port", port] });
    expect(await other.exited).toBe(5);
    expect(other.stderr).toContain(`port ${port} is in use`);
    expect(await service.query("SELECT 1 AS one")).toEqual([{ one: 1 }]);
  });

  test("a port that another program holds is named, and nothing is left running", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const address = server.address();
    const port = typeof address === "object" ? String(address?.port) : "";
    const service = await serve({ dir: await stateDirectory(), flags: ["--pg-port", port] });
    expect(await service.exited).toBe(5);
    expect(service.stdout).toBe("");
    expect(service.stderr).toContain(`port ${port} is in use`);
    expect(await service.running()).toEqual(new Map());
  });

  test("ends with 2, 3 and 4 for usage, a missing Postgres and an unusable directory", async () => {
    const dir = await stateDirectory();
    const wrong = await serve({ dir, flags: ["--pg-port", "x"] });
    expect(await wrong.exited).toBe(2);
    const missing = await serve({ dir, flags: ["--pg-port", "0", "--pg-bin", "/nonexistent"] });
    expect(await missing.exited).toBe(3);
    expect(missing.stderr).toContain("/nonexistent");
    await rm(dir, { recursive: true });
    await writeFile(dir, "");
    const file = await serve({ dir });
    expect(await file.exited).toBe(4);
    for (const { stderr } of [missing, file]) expect(stderr.match(/^neon-local: .*$/gm)).toHaveLength(1);
  });

  test("the branch's major is not changed", async () => {
    const dir = await stateDirectory();
    const first = await serve({ dir });
    while ((await first.running()).size === 0) await delay(5);
    await first.stop();
    const { pg_version } = JSON.parse(await readFile(join(dir, "state/branches/local/main.json"), "utf8")) as {
      pg_version: number;
    };
    const other = await serve({ dir, flags: ["--pg-port", "0", "--pg-version", pg_version === 17 ? "16" : "17"] });
    expect(await other.exited).toBe(2);
    expect(other.stderr).toContain(`PostgreSQL ${pg_version}`);
  });

  test.runIf(isRoot)(
    "as root in a directory where Postgres' user cannot go ends with 4 and says what is in the way",
    async () => {
      const dir = await stateDirectory();
      const closed = join(dir, "..", "closed");
      await mkdir(closed, { mode: 0o700 });
      const service = await serve({ dir: join(closed, "state") });
      expect(await service.exited).toBe(4);
      expect(service.stderr).toContain(`may not enter`);
    },
  );
});
