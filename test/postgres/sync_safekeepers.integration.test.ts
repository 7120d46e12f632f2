import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type SyncSafekeepersOptions, syncSafekeepers } from "../../src/postgres/sync_safekeepers.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";

interface Run {
  readonly waits: number[];
  readonly lines: string[];
  readonly pids: (number | undefined)[];
  readonly records: string[];
  readonly runs: () => Promise<number>;
  readonly sync: (more?: Partial<SyncSafekeepersOptions>) => Promise<bigint>;
}

/** `--sync-safekeepers` of a server that is a script; `$n` is the number of the run. */
async function fakeServer(directory: string, script: string): Promise<Run> {
  const postgres = join(directory, "postgres");
  const counter = join(directory, "runs");
  await writeFile(counter, "");
  const body = `#!/bin/sh\necho x >> ${counter}\nn=$(wc -l < ${counter})\n${script}\n`;
  await writeFile(postgres, body, { mode: 0o755 });
  const run = {
    waits: [] as number[],
    lines: [] as string[],
    pids: [] as (number | undefined)[],
    records: [] as string[],
  };
  return {
    ...run,
    runs: async () => (await readFile(counter, "utf8")).split("\n").length - 1,
    sync: (more) =>
      syncSafekeepers({
        installation: { postgres },
        pgdata: "/some/pgdata",
        env: process.env,
        authToken: "storage",
        tries: "start",
        stdin: "ignore",
        onPid: (pid) => run.pids.push(pid),
        onRecord: (record) => run.records.push(record),
        info: (line) => run.lines.push(line),
        wait: async (ms) => void run.waits.push(ms),
        ...more,
      }),
  };
}

test("lifecycle.md case 26: fails twice, then gives an LSN; 1.1 s of waiting in all", async () => {
  await using directory = await temporaryDirectory();
  const server = await fakeServer(
    directory.path,
    'echo "no $n" >&2; if [ $n -lt 3 ]; then echo out; exit 1; fi; echo 0/200',
  );
  expect(await server.sync()).toBe(0x200n);
  expect(server.waits).toEqual([0, 1100]);
  expect(server.lines).toEqual(
    [1, 2].map(
      (attempt) =>
        `sync_safekeepers failed, will retry (attempt ${attempt}): postgres --sync-safekeepers exited with non-zero` +
        " status: exit status: 1. stdout: out",
    ),
  );
  expect(server.records).toEqual(["no 1", "no 2", "no 3"]);
  expect(server.pids).toHaveLength(6);
  expect(server.pids.filter((pid) => pid === undefined)).toHaveLength(3);
});

test("lifecycle.md case 27: always fails: six runs, then failed to sync safekeepers", async () => {
  await using directory = await temporaryDirectory();
  const server = await fakeServer(directory.path, "exit 3");
  await expect(server.sync()).rejects.toMatchObject({
    code: "sync_safekeepers_failed",
    message: "failed to sync safekeepers",
    cause: { message: "postgres --sync-safekeepers exited with non-zero status: exit status: 3. stdout: " },
  });
  expect(await server.runs()).toBe(6);
  expect(server.waits).toEqual([0, 1100, 1210, 1331, 1464.1]);
});

test("at shutdown there is one try", async () => {
  await using directory = await temporaryDirectory();
  const server = await fakeServer(directory.path, "exit 3");
  await expect(server.sync({ tries: "shutdown" })).rejects.toMatchObject({ code: "sync_safekeepers_failed" });
  expect(await server.runs()).toBe(1);
});

test("gets its arguments and environment, behind a prefix too; output that is no LSN is an error", async () => {
  await using directory = await temporaryDirectory();
  const server = await fakeServer(directory.path, 'echo "$* $PGDATA $NEON_AUTH_TOKEN $X"');
  await expect(server.sync({ tries: "shutdown", prefix: ["env", "X=1"] })).rejects.toMatchObject({
    cause: {
      message: 'postgres --sync-safekeepers printed no LSN but "--sync-safekeepers /some/pgdata storage 1"',
    },
  });
  await expect(server.sync({ tries: "shutdown", installation: { postgres: "/nowhere" } })).rejects.toMatchObject({
    cause: { code: "postgres_spawn" },
  });
});

test("an abort ends the program and the tries", async () => {
  await using directory = await temporaryDirectory();
  const server = await fakeServer(directory.path, 'echo "2025-07-29 10:00:00 up" >&2; echo end >&2; exec sleep 1000');
  const abort = new AbortController();
  const syncing = server.sync({
    signal: abort.signal,
    onRecord: () => abort.abort(new Error("stopping")),
  });
  await expect(syncing).rejects.toThrow("stopping");
  expect(await server.runs()).toBe(1);
});
