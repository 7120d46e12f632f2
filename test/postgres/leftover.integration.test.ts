import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  postmasterRecordPath,
  removePostmasterRecord,
  stopLeftover,
  writePostmasterRecord,
} from "../../src/postgres/leftover.ts";
import { isRunning, parseProcStat, readProcess } from "../../src/postgres/process_identity.ts";
import { removeStaleLocks } from "../../src/postgres/stale_locks.ts";
import { copyCluster, forEachMajor, runAs, startServer } from "../support/postgres.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";

const STARTER = join(import.meta.dirname, "programs", "start_postgres.ts");

/** A process that starts a server like compute_ctl does, until it is killed; prints the server's pid when it is ready. */
async function starter(postgres: string, pgdata: string): Promise<{ child: ChildProcess; postmaster: number }> {
  const child = spawn(process.execPath, [STARTER, postgres, pgdata, JSON.stringify(runAs ?? null)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  return { child, postmaster: Number(line) };
}

forEachMajor(
  "lifecycle.md case 70 (part): the server of a killed starter is gone before the directory is used again",
  async (server) => {
    await using directory = await temporaryDirectory({ owner: runAs });
    const pgdata = join(directory.path, "pgdata");
    await copyCluster(server, pgdata, { settings: { listen_addresses: "", unix_socket_directories: directory.path } });
    const { child, postmaster } = await starter(server.postgres, pgdata);
    const running = await readProcess(postmaster);
    expect(running).toMatchObject({ name: "postgres", zombie: false });
    await expect(stopLeftover(pgdata)).rejects.toMatchObject({ code: "pgdata_in_use" });
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(running && (await isRunning(running))).toBe(true);
    const lines: string[] = [];
    expect(await stopLeftover(pgdata, { log: (line) => lines.push(line) })).toBe(postmaster);
    expect(running && (await isRunning(running))).toBe(false);
    expect(lines).toEqual([expect.stringContaining(String(postmaster))]);
    await expect(stat(postmasterRecordPath(pgdata))).rejects.toMatchObject({ code: "ENOENT" });
    expect(await stopLeftover(pgdata)).toBeUndefined();
  },
);

test("without a record the lock file leads to a server that works in this directory", async () => {
  await using running = await startServer();
  expect(await stopLeftover(running.pgdata)).toBe(running.postmaster.pid);
  expect(await running.postmaster.exited).toEqual({ code: 0, signal: null });
});

test("backends that outlived their killed postmaster are waited for", async () => {
  await using running = await startServer();
  const client = await running.connect();
  client.on("error", () => {});
  const [row] = (await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid")).rows;
  const backend = await readProcess(row?.pid ?? 0);
  const sleeping = client.query("SELECT pg_sleep(1000)").catch((error: unknown) => error);
  await running.postmaster.stop("kill");
  await stopLeftover(running.pgdata, { quitMs: 1000 });
  expect(backend && (await isRunning(backend))).toBe(false);
  await sleeping;
});

test("a recorded number that now belongs to another process is left alone", async () => {
  await using directory = await temporaryDirectory();
  const pgdata = join(directory.path, "pgdata");
  const other = spawn("sleep", ["1000"], { stdio: "ignore" });
  try {
    await once(other, "spawn");
    const pid = other.pid ?? 0;
    const identity = { pid, startTime: "another time" };
    await writeFile(postmasterRecordPath(pgdata), JSON.stringify({ postmaster: identity, starter: identity }));
    await mkdir(pgdata);
    await writeFile(join(pgdata, "postmaster.pid"), `${pid}\n${pgdata}\n1\n1\n\n\n\nready\n`);
    expect(await stopLeftover(pgdata)).toBeUndefined();
    expect(other.exitCode).toBeNull();
    expect(await readProcess(pid)).toMatchObject({ name: "sleep" });
    await writeFile(postmasterRecordPath(pgdata), "not JSON");
    expect(await stopLeftover(pgdata)).toBeUndefined();
  } finally {
    other.kill("SIGKILL");
  }
});

test("the record names server and starter, and goes with the server", async () => {
  await using directory = await temporaryDirectory();
  const pgdata = join(directory.path, "pgdata");
  await writePostmasterRecord(`${pgdata}/`, process.pid);
  const identity = { pid: process.pid, startTime: (await readProcess(process.pid))?.startTime };
  const text = await readFile(`${pgdata}.postmaster.json`, "utf8");
  expect(JSON.parse(text)).toEqual({ postmaster: identity, starter: identity });
  await removePostmasterRecord(pgdata);
  await removePostmasterRecord(pgdata);
  await writePostmasterRecord(pgdata, 2 ** 30);
  await expect(stat(postmasterRecordPath(pgdata))).rejects.toMatchObject({ code: "ENOENT" });
});

test("lock files of the dead, of zombies and of other programs go, a running server's stay", async () => {
  await using running = await startServer();
  const { pgdata, port } = running;
  const sockets = join(running.directory, "socket");
  const locks = { pgdata, port, socketDirectories: [sockets] };
  expect(await removeStaleLocks(locks)).toEqual([]);
  await running.postmaster.stop("fast");
  const lock = join(sockets, `.s.PGSQL.${port}.lock`);
  // A zombie: its parent has become a program that never asks for it.
  const parent = spawn("sh", ["-c", "sleep 0 & echo $!; exec sleep 1000"], { stdio: ["ignore", "pipe", "ignore"] });
  try {
    const [line] = (await once(parent.stdout, "data")) as [Buffer];
    const zombie = Number(line);
    await expect.poll(() => readProcess(zombie)).toMatchObject({ zombie: true });
    for (const pid of [zombie, process.pid, 2 ** 30]) {
      for (const file of [lock, join(sockets, `.s.PGSQL.${port}`), join(pgdata, "postmaster.pid")]) {
        await writeFile(file, `${pid}\n${pgdata}\n`);
      }
      expect(await removeStaleLocks(locks)).toEqual([join(pgdata, "postmaster.pid"), lock]);
      await expect(stat(join(sockets, `.s.PGSQL.${port}`))).rejects.toMatchObject({ code: "ENOENT" });
    }
    // Of another server, whoever that is.
    await writeFile(lock, `${process.pid}\n/var/lib/other\n`);
    expect(await removeStaleLocks(locks)).toEqual([]);
    expect((await stat(lock)).isFile()).toBe(true);
  } finally {
    parent.kill("SIGKILL");
  }
});

test("a process name may hold blanks and parentheses", () => {
  const rest = Array.from({ length: 30 }, (_, index) => String(index)).join(" ");
  expect(parseProcStat(`42 (a ) (b)) Z ${rest}`)).toEqual({ name: "a ) (b)", zombie: true, ticks: "18" });
  expect(parseProcStat("42")).toBeUndefined();
});
