import { appendFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { raiseCoreLimit } from "../../src/postgres/core_limit.ts";
import type { PostgresInstallation } from "../../src/postgres/installation.ts";
import { type Postmaster, startPostmaster } from "../../src/postgres/postmaster.ts";
import { describeExit } from "../../src/postgres/process_exit.ts";
import { waitUntilReady } from "../../src/postgres/readiness.ts";
import { dryRunConfig, pgCtlReload } from "../../src/postgres/tools.ts";
import { copyCluster, forEachMajor, installation, runAs, startServer } from "../support/postgres.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";

const env = process.env;

async function fakePostmaster(
  directory: string,
  script: string,
  more: { signal?: AbortSignal; authToken?: string } = {},
): Promise<Postmaster> {
  const postgres = join(directory, "postgres");
  await writeFile(postgres, `#!/bin/bash\n${script}\n`, { mode: 0o755 });
  const pgdata = join(directory, "pgdata");
  await mkdir(pgdata, { recursive: true });
  return await startPostmaster({
    installation: { postgres },
    pgdata,
    env,
    stdio: "ignore",
    onRecord: () => {},
    ...more,
  });
}

forEachMajor("starts, is ready, answers, reloads, stops fast", async (server) => {
  await using running = await startServer({ installation: server });
  const [row] = await running.query<{ role: string; version: number }>(
    "SELECT current_role AS role, current_setting('server_version_num')::int / 10000 AS version",
  );
  expect(row).toEqual({ role: "cloud_admin", version: server.major });
  const file = await readFile(join(running.pgdata, "postmaster.pid"), "utf8");
  expect(file.startsWith(`${running.postmaster.pid}\n`)).toBe(true);
  await appendFile(join(running.pgdata, "postgresql.conf"), "work_mem = '7MB'\n");
  await pgCtlReload({ installation: server, pgdata: running.pgdata, env, runAs });
  await expect.poll(() => running.query("SHOW work_mem")).toEqual([{ work_mem: "7MB" }]);
  const [first, second] = await Promise.all([running.postmaster.stop("fast"), running.postmaster.stop("smart")]);
  expect(first).toEqual({ code: 0, signal: null });
  expect(second).toEqual(first);
  expect(running.postmaster.kill("SIGHUP")).toBe(false);
  await running.postmaster.logEnded;
  expect(running.log.at(-1)).toContain("database system is shut down");
});

forEachMajor("the dry run of a file gives Postgres' own complaints, beside a running server", async (server) => {
  await using running = await startServer({ installation: server });
  const options = { installation: server, pgdata: running.pgdata, env, runAs };
  const good = join(running.pgdata, "postgresql.conf");
  expect(await dryRunConfig({ ...options, configFile: good })).toEqual({ ok: true, complaints: [] });
  const bad = join(running.directory, "bad.conf");
  await writeFile(bad, "shared_buffers = oops\n", { mode: 0o644 });
  const result = await dryRunConfig({ ...options, configFile: bad });
  expect(result.ok).toBe(false);
  expect(result.complaints.join("\n")).toContain('invalid value for parameter "shared_buffers": "oops"');
  expect(await running.query("SELECT 1 AS one")).toEqual([{ one: 1 }]);
});

test("lifecycle.md case 32 (part): a server that exits first gives its code and its own reason", async () => {
  await using directory = await temporaryDirectory({ owner: runAs });
  const server = installation(17);
  const pgdata = join(directory.path, "pgdata");
  await copyCluster(server, pgdata, { settings: { shared_buffers: "oops", log_line_prefix: "%m [%p] " } });
  await using postmaster = await startPostmaster({
    installation: server,
    pgdata,
    env,
    runAs,
    stdio: "ignore",
    onRecord: () => {},
  });
  await expect(waitUntilReady(postmaster)).rejects.toMatchObject({
    code: "postgres_exited",
    message: expect.stringMatching(
      /^Postgres exited unexpectedly with code 1: .*invalid value for parameter "shared_buffers": "oops"/,
    ),
  });
});

test("an exit by a signal is code -1", async () => {
  await using directory = await temporaryDirectory();
  await using postmaster = await fakePostmaster(directory.path, "kill -9 $$");
  await expect(waitUntilReady(postmaster)).rejects.toThrow(/^Postgres exited unexpectedly with code -1$/);
  expect(describeExit(await postmaster.exited)).toBe("signal: 9 (SIGKILL)");
});

test("lifecycle.md case 33 (part): standby, and another server's ready, never count; after the time-out it can be stopped", async () => {
  await using directory = await temporaryDirectory();
  const write = (pid: string, status: string) =>
    `printf '%s\\n/d\\n1\\n1\\n/s\\n*\\n 1 1\\n${status}  \\n' ${pid} > pgdata/postmaster.pid`;
  const script = `cd ${directory.path}; ${write("1", "ready")}; ${write("$$", "standby")}; exec sleep 1000`;
  await using postmaster = await fakePostmaster(directory.path, script);
  await expect(waitUntilReady(postmaster, { timeoutMs: 300 })).rejects.toMatchObject({
    code: "postgres_start_timeout",
    message: "timed out while waiting for Postgres to start",
  });
  expect(await postmaster.stop("immediate")).toEqual({ code: null, signal: "SIGQUIT" });
  expect(() => process.kill(postmaster.pid, 0)).toThrow(expect.objectContaining({ code: "ESRCH" }));
});

test("ready is seen when the file is written in place, with trailing blanks, and by the poll alone", async () => {
  await using directory = await temporaryDirectory();
  const lines =
    "printf '%s\\n/d\\n1\\n1\\n/s\\n*\\n 1 1\\n' $$ > pgdata/postmaster.pid; echo 'ready   ' >> pgdata/postmaster.pid";
  await using postmaster = await fakePostmaster(directory.path, `cd ${directory.path}; ${lines}; exec sleep 1000`);
  await waitUntilReady(postmaster);
  await waitUntilReady(postmaster, { pollMs: 1 });
});

test("an aborted wait gives the reason; an aborted server is stopped fast", async () => {
  await using directory = await temporaryDirectory();
  const abort = new AbortController();
  const { signal } = abort;
  await using postmaster = await fakePostmaster(directory.path, "exec sleep 1000", { signal });
  const waiting = waitUntilReady(postmaster, { signal });
  abort.abort(new Error("enough"));
  await expect(waiting).rejects.toThrow("enough");
  expect(await postmaster.exited).toEqual({ code: null, signal: "SIGINT" });
  await expect(fakePostmaster(directory.path, "exit 0", { signal })).rejects.toThrow("enough");
});

test("a server that ignores everything is killed in the end", async () => {
  await using directory = await temporaryDirectory();
  const script = "trap '' INT QUIT TERM; echo up > $2/up; while :; do sleep 0.05; done";
  await using postmaster = await fakePostmaster(directory.path, script);
  await expect.poll(() => readFile(join(postmaster.pgdata, "up"), "utf8").catch(() => "")).toBe("up\n");
  const exit = await postmaster.stop("fast", { smart: 1, fast: 50, immediate: 50 });
  expect(exit).toEqual({ code: null, signal: "SIGKILL" });
});

test("lifecycle.md case 36: the token and our environment reach Postgres, our supervisor's descriptor does not", async () => {
  await using directory = await temporaryDirectory();
  const postgres = join(directory.path, "postgres");
  await writeFile(
    postgres,
    '#!/bin/sh\necho "$NEON_AUTH_TOKEN $NEON_CONTROL_PLANE_TOKEN [$NEON_LOCAL_SUPERVISOR_FD] $*" >&2\n',
    {
      mode: 0o755,
    },
  );
  const log: string[] = [];
  await using postmaster = await startPostmaster({
    installation: { postgres },
    pgdata: "/some/pgdata",
    env: { ...env, NEON_CONTROL_PLANE_TOKEN: "cp", NEON_LOCAL_SUPERVISOR_FD: "3" },
    authToken: "storage",
    extraArgs: ["-c", "fsync=off"],
    prefix: ["env", "X=1"],
    stdio: "ignore",
    onRecord: (record) => log.push(record),
  });
  expect(await postmaster.exited).toEqual({ code: 0, signal: null });
  await postmaster.logEnded;
  expect(log).toEqual(["storage cp [] -D /some/pgdata -c fsync=off"]);
});

test("a program that cannot be executed is an error, not a crash", async () => {
  const failed = startPostmaster({
    installation: { postgres: "/nowhere/postgres" },
    pgdata: "/x",
    env,
    stdio: "ignore",
  });
  await expect(failed).rejects.toMatchObject({ code: "postgres_spawn" });
});

test("a core limit of zero is raised for later children, and a missing tool is one warning", async () => {
  await using directory = await temporaryDirectory();
  await using child = await fakePostmaster(directory.path, "ulimit -S -c 0; echo up > $2/up; exec sleep 1000");
  await expect.poll(() => readFile(join(child.pgdata, "up"), "utf8").catch(() => "")).toBe("up\n");
  const warnings: string[] = [];
  const warn = (message: string): void => void warnings.push(message);
  await raiseCoreLimit({ env: { PATH: "/nowhere" }, pid: child.pid, warn });
  expect(warnings).toHaveLength(1);
  await raiseCoreLimit({ env, pid: child.pid, warn });
  expect(warnings).toHaveLength(1);
  expect(await readFile(`/proc/${child.pid}/limits`, "utf8")).toMatch(/^Max core file size\s+unlimited/m);
  // Any softer end would leave a core in our directory.
  await child.stop("kill");
});

async function logOf(server: PostgresInstallation, work: (query: (sql: string) => Promise<unknown>) => Promise<void>) {
  const running = await startServer({ installation: server });
  try {
    await work((sql) => running.query(sql).catch((error: unknown) => error));
  } finally {
    await running.postmaster.stop("fast");
    await running.postmaster.logEnded;
    await running[Symbol.asyncDispose]();
  }
  return running.log;
}

forEachMajor("lifecycle.md case 38, metrics-and-logs.md case 21: records of a real server", async (server) => {
  const log = await logOf(server, async (query) => {
    await query("DO $$ BEGIN RAISE EXCEPTION E'first\\nsecond' USING DETAIL = 'why', HINT = 'how'; END $$");
    await query("SELECT 1\n/\n0");
  });
  expect(log.some((record) => / ERROR: {2}first\u200b\tsecond$/.test(record))).toBe(true);
  expect(log.some((record) => / DETAIL: {2}why$/.test(record))).toBe(true);
  expect(log.some((record) => / STATEMENT: {2}SELECT 1\u200b\t\/\u200b\t0$/.test(record))).toBe(true);
  for (const record of log) expect(record).toMatch(/^\d+-\d\d-\d\d \d\d:\d\d:\d\d/);
});

forEachMajor(
  "lifecycle.md case 38, metrics-and-logs.md case 23: a byte that is not UTF-8 stops no later line",
  async (server) => {
    const log = await logOf(server, async (query) => {
      await query("CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
      await query("ALTER DATABASE latin SET client_encoding = 'LATIN1'");
      await query("DO $$ BEGIN RAISE LOG 'after'; END $$");
    });
    expect(log.some((record) => record.includes("after"))).toBe(true);
    await using running = await startServer({ installation: server });
    await running.query("CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
    await running.query("DO $$ BEGIN RAISE LOG 'caf%', chr(233); END $$", "latin");
    await running.query("DO $$ BEGIN RAISE LOG 'later'; END $$", "latin");
    await expect.poll(() => running.log.some((record) => record.endsWith("later"))).toBe(true);
    expect(running.log.some((record) => record.endsWith("caf\ufffd"))).toBe(true);
  },
);

test("metrics-and-logs.md case 22: a killed server's partial record still comes and the log ends", async () => {
  await using directory = await temporaryDirectory();
  const log: string[] = [];
  const postgres = join(directory.path, "postgres");
  await writeFile(postgres, "#!/bin/sh\nprintf '2025-07-29 10:00:00.1 GMT [1] LOG:  half' >&2\nkill -9 $$\n", {
    mode: 0o755,
  });
  await using postmaster = await startPostmaster({
    installation: { postgres },
    pgdata: directory.path,
    env,
    stdio: "ignore",
    onRecord: (record) => log.push(record),
  });
  await postmaster.logEnded;
  expect(log).toEqual(["2025-07-29 10:00:00.1 GMT [1] LOG:  half"]);
  expect(await postmaster.exited).toEqual({ code: null, signal: "SIGKILL" });
});
