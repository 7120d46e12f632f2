import { chmod, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type PgbouncerTuning, tunePgbouncer } from "../../src/neighbours/pgbouncer.ts";
import { encodeCommandComplete, encodeErrorResponse, encodeReadyForQuery } from "../../src/wire/postgres_protocol.ts";
import { collectingLog } from "../support/collecting_log.ts";
import { freePort } from "../support/free_port.ts";
import { startLibpqServer } from "../support/scripted_libpq_server.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";

const INI = "; of the image\n[databases]\n*=host=localhost\n\n[pgbouncer]\nlisten_port=6432\npool_mode=transaction\n";
const RELOADED = Buffer.concat([encodeCommandComplete("RELOAD"), encodeReadyForQuery()]);

interface Prepared {
  readonly tuning: PgbouncerTuning;
  readonly lines: string[];
  readonly waits: number[];
}

async function prepare(directory: string, port: number, changes: Partial<PgbouncerTuning> = {}): Promise<Prepared> {
  const iniFile = join(directory, "pgbouncer.ini");
  await writeFile(iniFile, INI);
  await chmod(iniFile, 0o640);
  const { log, lines } = collectingLog();
  const waits: number[] = [];
  const tuning: PgbouncerTuning = {
    console: { host: "127.0.0.1", port, database: "pgbouncer", user: "postgres" },
    iniFile,
    settings: { pool_mode: "session" },
    tls: null,
    log,
    signal: new AbortController().signal,
    wait: async (milliseconds) => void waits.push(milliseconds),
    ...changes,
  };
  return { tuning, lines, waits };
}

test("postgres-config.md case 32: the ini has the new mode, other keys unchanged, one RELOAD is received", async () => {
  await using directory = await temporaryDirectory();
  await using console = await startLibpqServer({ answer: () => RELOADED });
  const { tuning, lines } = await prepare(directory.path, console.port);
  await tunePgbouncer(tuning);
  expect(await readFile(tuning.iniFile, "utf8")).toBe(INI.replace("pool_mode=transaction", "pool_mode=session"));
  expect((await stat(tuning.iniFile)).mode & 0o777).toBe(0o640);
  expect(console.sessions.map(({ query }) => query)).toEqual(["RELOAD"]);
  expect(Object.fromEntries(console.sessions[0]?.parameters ?? [])).toMatchObject({
    user: "postgres",
    database: "pgbouncer",
  });
  expect(lines.filter((line) => !line.includes("INFO"))).toEqual([]);
});

test("postgres-config.md case 33: without a pgbouncer one error is logged after 4 attempts, 1 s apart", async () => {
  await using directory = await temporaryDirectory();
  const port = await freePort();
  const { tuning, lines, waits } = await prepare(directory.path, port);
  await tunePgbouncer(tuning);
  expect(waits).toEqual([1000, 1000, 1000]);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(
    new RegExp(
      `ERROR error while tuning pgbouncer: cannot connect to pgbouncer as postgres at 127.0.0.1:${port}: .*ECONNREFUSED`,
    ),
  );
  expect(await readFile(tuning.iniFile, "utf8")).toBe(INI);
});

test("the password is sent and never logged", async () => {
  await using directory = await temporaryDirectory();
  await using console = await startLibpqServer({ auth: "jwt", answer: () => RELOADED });
  const target = { host: "127.0.0.1", database: "pgbouncer", user: "postgres", password: "open sesame" };
  const { tuning, lines } = await prepare(directory.path, console.port, {
    console: { ...target, port: console.port },
  });
  await tunePgbouncer(tuning);
  expect(console.sessions.map(({ password }) => password)).toEqual(["open sesame"]);
  await using refusing = await startLibpqServer({
    auth: "jwt",
    refuse: encodeErrorResponse({ severity: "FATAL", code: "28P01", message: "password authentication failed" }),
    answer: () => undefined,
  });
  await tunePgbouncer({ ...tuning, console: { ...target, port: refusing.port } });
  expect(lines.at(-1)).toMatch(/ERROR error while tuning pgbouncer: .*password authentication failed/);
  expect(lines.join("\n")).not.toContain("sesame");
});

test("a RELOAD that is refused is an error line, the settings stay", async () => {
  await using directory = await temporaryDirectory();
  const refused = encodeErrorResponse({ severity: "ERROR", code: "08P01", message: "admin access needed" });
  await using console = await startLibpqServer({ answer: () => Buffer.concat([refused, encodeReadyForQuery()]) });
  const { tuning, lines } = await prepare(directory.path, console.port);
  await tunePgbouncer(tuning);
  expect(lines).toEqual(["ERROR pgbouncer refused to RELOAD: admin access needed"]);
  expect(await readFile(tuning.iniFile, "utf8")).toContain("pool_mode=session");
});

test("with TLS it waits for the key file, then adds the original paths", async () => {
  await using directory = await temporaryDirectory();
  await using console = await startLibpqServer({ answer: () => RELOADED });
  const tls = { key_path: join(directory.path, "tls.key"), cert_path: join(directory.path, "tls.crt") };
  const waits: number[] = [];
  const { tuning } = await prepare(directory.path, console.port, {
    tls,
    wait: async (milliseconds) => {
      if (waits.push(milliseconds) === 3) await writeFile(tls.key_path, "key");
    },
  });
  await tunePgbouncer(tuning);
  expect(waits).toEqual([500, 500, 500]);
  expect(await readFile(tuning.iniFile, "utf8")).toContain(
    `client_tls_cert_file=${tls.cert_path}\nclient_tls_key_file=${tls.key_path}\nclient_tls_sslmode=allow\n`,
  );
});

test("the wait for the key file is bounded", async () => {
  await using directory = await temporaryDirectory();
  const tls = { key_path: join(directory.path, "tls.key"), cert_path: join(directory.path, "tls.crt") };
  const { tuning, lines, waits } = await prepare(directory.path, 1, { tls });
  await tunePgbouncer(tuning);
  expect(waits).toHaveLength(120);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain("ERROR error while tuning pgbouncer: no TLS key after 60 s: ENOENT");
});

test("a missing ini file and a missing section are one error each", async () => {
  await using directory = await temporaryDirectory();
  await using console = await startLibpqServer({ answer: () => RELOADED });
  const { tuning, lines } = await prepare(directory.path, console.port);
  await tunePgbouncer({ ...tuning, iniFile: join(directory.path, "none.ini") });
  await writeFile(tuning.iniFile, "[databases]\n");
  await tunePgbouncer(tuning);
  expect(lines).toHaveLength(2);
  expect(lines[0]).toMatch(/ERROR error while tuning pgbouncer: ENOENT.*none\.ini/);
  expect(lines[1]).toBe(
    `ERROR error while tuning pgbouncer: cannot change ${tuning.iniFile}: there is no section [pgbouncer]`,
  );
  expect(console.sessions).toEqual([]);
});

test("an abort ends it without a word", async () => {
  await using directory = await temporaryDirectory();
  const stop = new AbortController();
  const { tuning, lines } = await prepare(directory.path, await freePort(), {
    signal: stop.signal,
    wait: (_milliseconds, signal) => {
      stop.abort(new Error("stopping"));
      return Promise.reject(signal?.reason as Error);
    },
  });
  await tunePgbouncer(tuning);
  expect(lines).toEqual([]);
});
