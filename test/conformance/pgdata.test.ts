import { chmod, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import pg from "pg";
import { describe, expect, onTestFinished, test } from "vitest";
import { runOn, startOn } from "../support/compute_on.ts";
import { freePort } from "../support/free_port.ts";
import { runAs } from "../support/postgres.ts";
import { isAlive, processesIn } from "../support/processes.ts";
import { useStore } from "../support/store.ts";
import { scratchRoot, temporaryDirectory } from "../support/temp_directory.ts";

const isRoot = process.geteuid?.() === 0;
const NOBODY = { uid: 65534, gid: 65534 };
const store = useStore();

/** A place for a PGDATA that several computes use in turn. */
const place = () => temporaryDirectory({ mode: 0o1777, root: scratchRoot() });

describe("what was in PGDATA before", () => {
  test("lifecycle.md case 21, postgres-config.md case 15: nothing of it is left, and the mode is 0700", async () => {
    await using directory = await place();
    const pgdata = join(directory.path, "pgdata");
    {
      await using first = await runOn(await store().timeline(), { pgdata });
      await first.query("CREATE TABLE old AS SELECT 1 AS x");
    }
    const strays = ["stray", "base/1/stray", "standby.signal", "recovery.signal", "pg_tblspc/1/stray", "core.1"];
    await mkdir(join(pgdata, "pg_tblspc/1"));
    for (const name of strays) await writeFile(join(pgdata, name), "x");
    await writeFile(join(pgdata, "postgresql.auto.conf"), "work_mem = '123MB'\n");
    await chmod(pgdata, 0o755);
    await using second = await runOn(await store().timeline(), { pgdata });
    for (const name of strays) await expect(stat(join(pgdata, name))).rejects.toMatchObject({ code: "ENOENT" });
    expect((await stat(pgdata)).mode & 0o7777).toBe(0o700);
    expect(await second.query("SELECT to_regclass('old')")).toBeNull();
    expect(await second.query("SHOW work_mem")).toBe("4MB");
  });

  test.runIf(isRoot)(
    "lifecycle.md case 22, lifecycle.md case 23: a mount point with lost+found, then with an old PGDATA",
    async (context) => {
      await using directory = await place();
      const pgdata = join(directory.path, "mounted");
      await mkdir(pgdata);
      const mounted = await execa("mount", ["-t", "tmpfs", "-o", "size=300m", "none", pgdata], { reject: false });
      if (mounted.exitCode !== 0) return context.skip("this machine lets nobody mount");
      try {
        await mkdir(join(pgdata, "lost+found"));
        const { dev } = await stat(pgdata);
        {
          await using first = await runOn(await store().timeline(), { pgdata });
          expect(await first.query("SELECT 1")).toBe(1);
        }
        await writeFile(join(pgdata, "stray"), "x");
        await using second = await runOn(await store().timeline(), { pgdata });
        expect(await second.query("SELECT 1")).toBe(1);
        expect(await readdir(pgdata)).not.toContain("stray");
        expect((await stat(pgdata)).mode & 0o7777).toBe(0o700);
        expect((await stat(pgdata)).dev).toBe(dev);
        await second.stop();
      } finally {
        await execa("umount", [pgdata]);
      }
    },
  );

  test("lifecycle.md case 23: a home directory and a directory that was never a PGDATA are refused, nothing is deleted", async () => {
    await using directory = await place();
    const home = join(directory.path, "home");
    const photos = join(directory.path, "photos");
    for (const path of [home, photos]) {
      await mkdir(path, { recursive: true });
      await writeFile(join(path, "letter"), "dear");
    }
    // Looks like one.
    await writeFile(join(home, "PG_VERSION"), "17\n");
    for (const pgdata of [home, photos]) {
      await using compute = await startOn(await store().timeline(), { pgdata, env: { HOME: home } });
      expect(await compute.failure()).toContain(pgdata);
      expect(await readFile(join(pgdata, "letter"), "utf8")).toBe("dear");
    }
    expect((await readdir(home)).sort()).toEqual(["PG_VERSION", "letter"]);
    expect(await readdir(photos)).toEqual(["letter"]);
  });

  // As somebody who could delete nothing.
  test.runIf(isRoot)("lifecycle.md case 23: / is refused", async () => {
    await using compute = await startOn(await store().timeline(), { pgdata: "/", user: NOBODY });
    expect(await compute.failure()).toContain("/");
    expect(compute.output).not.toContain("PG:");
  });

  test("postgres-config.md case 16: a missing directory above it: failed, nothing is created", async () => {
    await using directory = await place();
    const pgdata = join(directory.path, "missing", "pgdata");
    await using compute = await startOn(await store().timeline(), { pgdata });
    expect(await compute.failure()).toContain(pgdata);
    expect(await readdir(directory.path)).toEqual([]);
  });
});

test("lifecycle.md case 70: kill -9, and a new start on the same PGDATA: the old postmaster is gone before anything is wiped", async () => {
  await using directory = await place();
  const pgdata = join(directory.path, "pgdata");
  await using first = await runOn(await store().timeline(), { pgdata });
  const old = await first.postmasterPid();
  first.child.kill("SIGKILL");
  await first.exited;
  const survived = await isAlive(old);
  await using second = await startOn(await store().timeline(), { pgdata, postgresPort: first.postgresPort });
  await second.reach("running");
  expect(await isAlive(old)).toBe(false);
  expect(await second.postmasterPid()).not.toBe(old);
  expect(await second.query("SELECT 1")).toBe(1);
  if (survived) expect(second.output).toContain(String(old));
  await second.stop();
  expect(await processesIn(pgdata)).toEqual([]);
});

test("the lock file of a socket that names a process of now, as after the death of a container, keeps nobody from starting", async () => {
  await using directory = await place();
  const port = await freePort();
  const socket = join(directory.path, `.s.PGSQL.${port}`);
  // Postgres does not believe in processes of other users.
  const identity = runAs === undefined ? {} : { uid: runAs.uid, gid: runAs.gid };
  const other = execa("sleep", ["1000"], { ...identity, reject: false });
  onTestFinished(() => void other.kill());
  const pgdata = join(directory.path, "pgdata");
  await writeFile(`${socket}.lock`, `${other.pid}\n${pgdata}\n1\n${port}\n${directory.path}\n`);
  await writeFile(socket, "");
  await chmod(directory.path, 0o1777);
  await using compute = await runOn(await store().timeline(), {
    pgdata,
    postgresPort: port,
    settings: { unix_socket_directories: directory.path },
  });
  expect(await compute.query("SELECT 1")).toBe(1);
});

test("a PGDATA on which another compute runs is refused, and that one runs on", async () => {
  await using first = await runOn(await store().timeline());
  await using second = await startOn(await store().timeline(), { pgdata: first.pgdata });
  expect(await second.failure()).toContain(first.pgdata);
  expect(await first.query("SELECT 1")).toBe(1);
});

test("lifecycle.md case 39, postgres-config.md case 19: two computes with dynamic shared memory in files", async () => {
  const settings = {
    dynamic_shared_memory_type: "mmap",
    min_parallel_table_scan_size: 0,
    parallel_setup_cost: 0,
    parallel_tuple_cost: 0,
    max_parallel_workers_per_gather: 2,
  };
  await using first = await runOn(await store().timeline(), { settings });
  await first.query("CREATE TABLE t AS SELECT g, repeat('x', 100) x FROM generate_series(1, 20000) g");
  await first.query("ANALYZE t");
  const open = await first.connect();
  await using second = await runOn(await store().timeline(), { settings });
  expect(await second.query("SELECT 1")).toBe(1);
  for (const compute of [first, second]) expect(await compute.query("SELECT 1")).toBe(1);
  const plan = await open.query("EXPLAIN (ANALYZE, FORMAT JSON) SELECT count(*) FROM t WHERE x LIKE '%x%'");
  const text = JSON.stringify(plan.rows);
  expect(text).toContain("Gather");
  expect(text).toMatch(/"Workers Launched": *[12]/);
  await open.end();
});

describe("files that computes add", () => {
  test("postgres-config.md case 18: pg_hba.conf ends with the password rule, once; who comes from outside needs a password", async (context) => {
    const outside = Object.values(networkInterfaces())
      .flat()
      .find((each) => each?.family === "IPv4" && !each.internal)?.address;
    if (outside === undefined) return context.skip("this machine has no address but loopback");
    await using directory = await place();
    const pgdata = join(directory.path, "pgdata");
    const settings = { listen_addresses: "*" };
    {
      await using first = await runOn(await store().timeline(), { pgdata, settings });
      await first.stop();
    }
    await using compute = await runOn(await store().timeline(), { pgdata, settings });
    const lines = (await readFile(join(pgdata, "pg_hba.conf"), "utf8")).trimEnd().split("\n");
    const rule = "host\tall\t\tall\t\tall\t\tmd5";
    expect(lines.at(-1)).toBe(rule);
    expect(lines.filter((line) => line === rule)).toHaveLength(1);
    expect(await compute.query("SELECT 1")).toBe(1);
    await compute.query("CREATE ROLE guest LOGIN PASSWORD 'geheim'");
    const login = async (password: string): Promise<unknown> => {
      const client = new pg.Client({
        host: outside,
        port: compute.postgresPort,
        user: "guest",
        database: "postgres",
        password,
      });
      client.on("error", () => undefined);
      await client.connect();
      const { rows } = await client.query("SELECT current_user AS name");
      await client.end();
      return rows[0];
    };
    await expect(login("wrong")).rejects.toMatchObject({ code: "28P01" });
    expect(await login("geheim")).toEqual({ name: "guest" });
  });

  test.runIf(isRoot)("PGDATA belongs to the user that runs Postgres", async () => {
    await using compute = await runOn(await store().timeline());
    expect((await stat(compute.pgdata)).uid).toBe(runAs?.uid);
    for (const name of ["postgresql.conf", "pg_hba.conf", "global/pg_control", "base/1/PG_VERSION"])
      expect((await stat(join(compute.pgdata, name))).uid).toBe(runAs?.uid);
  });
});

test("nothing is left outside PGDATA after a stop", async () => {
  await using directory = await place();
  const pgdata = join(directory.path, "pgdata");
  await using compute = await runOn(await store().timeline(), { pgdata });
  await compute.stop();
  await rm(pgdata, { recursive: true });
  expect(await readdir(directory.path)).toEqual([]);
});
