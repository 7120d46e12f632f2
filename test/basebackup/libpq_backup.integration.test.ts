import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { fetchBaseBackup } from "../../src/basebackup/fetch_base_backup.ts";
import { LibpqSession } from "../../src/basebackup/libpq_session.ts";
import { type DialOptions, dialPageserver } from "../../src/basebackup/pageserver_connection.ts";
import { isPermanentStorageError } from "../../src/basebackup/permanent_error.ts";
import { withBaseBackupRetries } from "../../src/basebackup/with_retries.ts";
import { errorChain } from "../../src/errors/coded_error.ts";
import {
  encodeCommandComplete,
  encodeCopyDone,
  encodeErrorResponse,
  encodeReadyForQuery,
} from "../../src/wire/postgres_protocol.ts";
import { CONTROL_CONTENT, copyAnswer, copyStart, sampleTar } from "../support/sample_base_backup.ts";
import { type ScriptedLibpqOptions, startLibpqServer } from "../support/scripted_libpq_server.ts";

const TENANT = "1".repeat(32);
const TIMELINE = "2".repeat(32);
const GZIPPED = gzipSync(sampleTar());

let root: string;
let pgdata: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "libpq-backup-"));
  pgdata = join(root, "pgdata");
  mkdirSync(pgdata, { mode: 0o700 });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const control = () => join(pgdata, "global/pg_control");

function dialOptions(port: number, options: Partial<DialOptions> = {}): DialOptions {
  return {
    endpoint: { protocol: "libpq", url: `postgresql://no_user@127.0.0.1:${port}`, shardIndex: "0000" },
    tenantId: TENANT,
    timelineId: TIMELINE,
    mode: "primary",
    token: undefined,
    signal: new AbortController().signal,
    ...options,
  };
}

function fetchFrom(port: number, options: Partial<DialOptions> = {}, lsn = 0x16abcden) {
  return fetchBaseBackup({
    dial: () => dialPageserver(dialOptions(port, options)),
    lsn,
    unpack: { pgdata },
  });
}

async function failure(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof Error)) throw new Error("it did not fail");
  return error;
}

describe("base backup over libpq", () => {
  test("storage-protocols.md case 1: the query for a primary; lifecycle.md case 24: an LSN from the quick check is asked for", async () => {
    await using server = await startLibpqServer({ answer: () => copyAnswer(GZIPPED) });
    const result = await fetchFrom(server.port);
    expect(server.sessions[0]?.query).toBe(`basebackup ${TENANT} ${TIMELINE} 0/16ABCDE --gzip`);
    expect(Object.fromEntries(server.sessions[0]?.parameters ?? [])).toMatchObject({
      user: "no_user",
      application_name: "compute_ctl",
      options: "-c neon.compute_mode=primary",
    });
    expect(result.compressedBytes).toBe(GZIPPED.length);
    expect(result.connectMicros).toBeGreaterThan(0);
    expect(result.totalMs).toBeGreaterThanOrEqual(Math.floor(result.connectMicros / 1000));
    expect(readFileSync(control())).toEqual(CONTROL_CONTENT);
    await fetchFrom(server.port, {}, 0n);
    expect(server.sessions[1]?.query).toBe(`basebackup ${TENANT} ${TIMELINE} --gzip`);
  });

  test("lifecycle.md case 28, lifecycle.md case 29: the queries of replica and static", async () => {
    await using server = await startLibpqServer({ answer: () => copyAnswer(GZIPPED) });
    await fetchFrom(server.port, { mode: "replica" });
    await fetchFrom(server.port, { mode: "static" }, 0x300n);
    expect(server.sessions.map((session) => session.query)).toEqual([
      `basebackup ${TENANT} ${TIMELINE} --gzip --replica`,
      `basebackup ${TENANT} ${TIMELINE} 0/300 --gzip --replica`,
    ]);
    expect(server.sessions[1]?.parameters.get("options")).toBe("-c neon.compute_mode=static");
  });

  test("storage-protocols.md case 2: half a gzip tar, then an error: the try fails, leaves no pg_control, is repeated", async () => {
    const half = GZIPPED.subarray(0, GZIPPED.length / 2);
    const broken = encodeErrorResponse({ severity: "ERROR", code: "XX000", message: "disk on fire" });
    await using server = await startLibpqServer({
      answer: (_, index) => (index < 2 ? Buffer.concat([copyStart(half), broken]) : copyAnswer(GZIPPED)),
    });
    const waits: number[] = [];
    const warnings: string[] = [];
    await withBaseBackupRetries(() => fetchFrom(server.port), {
      lsn: 0x16abcden,
      wipe: async () => {
        expect(existsSync(control())).toBe(false);
        rmSync(pgdata, { recursive: true });
        mkdirSync(pgdata);
      },
      warn: (text) => void warnings.push(text),
      sleep: async (milliseconds) => void waits.push(milliseconds),
      signal: new AbortController().signal,
    });
    expect(waits).toEqual([500, 750]);
    expect(warnings).toEqual([
      "Failed to get basebackup: ERROR: disk on fire (attempt 0/10)",
      "Failed to get basebackup: ERROR: disk on fire (attempt 1/10)",
    ]);
    expect(existsSync(control())).toBe(true);
  });

  test.each<[string, Buffer]>([
    ["storage-protocols.md case 3: cut before CopyDone", copyStart(GZIPPED)],
    ["storage-protocols.md case 3: cut before CommandComplete", Buffer.concat([copyStart(GZIPPED), encodeCopyDone()])],
  ])("%s: the try fails", async (_, answer) => {
    await using server = await startLibpqServer({
      answer: ({ socket }) => {
        socket.end(answer);
        return undefined;
      },
    });
    expect(await failure(fetchFrom(server.port))).toMatchObject({ code: "connection_lost" });
    expect(existsSync(control())).toBe(false);
  });

  test("lifecycle.md case 30: an error after a complete tar fails the try", async () => {
    const error = encodeErrorResponse({ severity: "ERROR", code: "XX000", message: "late" });
    for (const end of [error, Buffer.concat([encodeCopyDone(), error])]) {
      await using server = await startLibpqServer({ answer: () => Buffer.concat([copyStart(GZIPPED), end]) });
      expect(await failure(fetchFrom(server.port))).toMatchObject({ code: "XX000", severity: "ERROR" });
      expect(existsSync(control())).toBe(false);
    }
  });

  test("lifecycle.md case 31: a dead pageserver and one retry: two tries half a second apart, then the failure", async () => {
    const server = await startLibpqServer({ answer: () => undefined });
    const { port } = server;
    await server[Symbol.asyncDispose]();
    const waits: number[] = [];
    const warnings: string[] = [];
    const error = await failure(
      withBaseBackupRetries(() => fetchFrom(port), {
        lsn: 0n,
        retries: 1,
        wipe: async () => undefined,
        warn: (text) => void warnings.push(text),
        sleep: async (milliseconds) => void waits.push(milliseconds),
        signal: new AbortController().signal,
      }),
    );
    expect(waits).toEqual([500]);
    expect(warnings).toHaveLength(1);
    expect(errorChain(error)).toMatch(/^failed to get basebackup@0\/0: connect ECONNREFUSED/);
  });

  test("storage-protocols.md case 6: JWT without key data and version; the token wins over the URL's password", async () => {
    await using server = await startLibpqServer({ auth: "jwt", answer: () => copyAnswer(GZIPPED) });
    const endpoint = {
      protocol: "libpq" as const,
      url: `postgresql://no_user:other@127.0.0.1:${server.port}`,
      shardIndex: "0000",
    };
    await fetchFrom(server.port, { endpoint, token: "the.jwt.token" });
    expect(server.sessions[0]?.password).toBe("the.jwt.token");
    await fetchFrom(server.port, { endpoint });
    expect(server.sessions[1]?.password).toBe("other");
  });

  test("a refused or missing token is a permanent error and does not show the token", async () => {
    const refuse = encodeErrorResponse({ severity: "ERROR", code: "XX000", message: "JWT authentication error" });
    await using server = await startLibpqServer({ auth: "jwt", refuse, answer: () => undefined });
    const refused = await failure(fetchFrom(server.port, { token: "secret" }));
    expect(refused).toMatchObject({ code: "XX000", phase: "authentication" });
    expect(isPermanentStorageError(refused)).toBe(true);
    expect(errorChain(refused)).not.toContain("secret");
    const missing = await failure(fetchFrom(server.port));
    expect(missing.code).toBe("password_required");
    expect(isPermanentStorageError(missing)).toBe(true);
  });

  test("an unknown timeline is a permanent error", async () => {
    const answer = Buffer.concat([
      encodeErrorResponse({ severity: "ERROR", code: "XX000", message: "not found" }),
      encodeReadyForQuery(),
    ]);
    await using server = await startLibpqServer({ answer: () => answer });
    expect(isPermanentStorageError(await failure(fetchFrom(server.port)))).toBe(true);
  });

  test("a connection dialled ahead is used later", async () => {
    await using server = await startLibpqServer({ answer: () => copyAnswer(GZIPPED) });
    const limits = { connectTimeoutMs: 5000, idleTimeoutMs: 50 };
    const ahead = await dialPageserver(dialOptions(server.port, { limits }));
    // Time itself is what is tested: it is longer than the silence that an answer may have.
    await sleep(120);
    await fetchBaseBackup({ dial: async () => ahead, lsn: 0n, unpack: { pgdata } });
    expect(existsSync(control())).toBe(true);
  });

  test("an embedded store on this machine is asked for the plain tar", async () => {
    const tar = sampleTar();
    const parameters = { neon_store_version: "1" };
    await using server = await startLibpqServer({ parameters, answer: () => copyAnswer(tar, 1) });
    const result = await fetchBaseBackup({
      dial: () => dialPageserver(dialOptions(server.port)),
      lsn: 0n,
      unpack: { pgdata },
    });
    expect(server.sessions[0]?.query).toBe(`basebackup ${TENANT} ${TIMELINE}`);
    expect(result.bytes).toBe(tar.length);
  });

  test("postgresql.conf survives failed and good tries", async () => {
    writeFileSync(join(pgdata, "postgresql.conf"), "ours");
    await using server = await startLibpqServer({
      answer: (_, index) => (index === 0 ? copyAnswer(GZIPPED.subarray(0, 1000)) : copyAnswer(GZIPPED)),
    });
    await failure(fetchFrom(server.port));
    await fetchFrom(server.port);
    expect(readFileSync(join(pgdata, "postgresql.conf"), "utf8")).toBe("ours");
  });
});

describe("LibpqSession", () => {
  const limits = { connectTimeoutMs: 5000, idleTimeoutMs: 5000 };
  const live = () => new AbortController().signal;

  async function silentServer() {
    const server = createServer((socket) => socket.on("error", () => undefined).resume());
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    return {
      url: `postgresql://127.0.0.1:${address.port}`,
      [Symbol.asyncDispose]: async () => {
        server.close();
      },
    };
  }

  test("a server that never answers: the connect ends in time, and at once on abort", async () => {
    await using server = await silentServer();
    const options = { connectionString: server.url, idleTimeoutMs: 5000, signal: live() };
    expect(await failure(LibpqSession.connect({ ...options, connectTimeoutMs: 50 }))).toMatchObject({
      code: "connect_timeout",
    });
    const owner = new AbortController();
    const connecting = failure(LibpqSession.connect({ ...options, connectTimeoutMs: 60_000, signal: owner.signal }));
    owner.abort(new Error("stopping"));
    expect((await connecting).message).toBe("stopping");
    expect(
      await failure(LibpqSession.connect({ ...options, connectTimeoutMs: 9, signal: owner.signal })),
    ).toMatchObject({
      message: "stopping",
    });
  });

  test("silence in an answer ends it, a slow reader does not", async () => {
    await using server = await startLibpqServer({
      answer: (_, index) => (index === 0 ? copyStart(GZIPPED) : copyAnswer(Buffer.alloc(4_000_000))),
    });
    const options = {
      connectionString: `postgresql://127.0.0.1:${server.port}`,
      connectTimeoutMs: 5000,
      signal: live(),
    };
    const read = async (idleTimeoutMs: number, pauseMs: number): Promise<number> => {
      const session = await LibpqSession.connect({ ...options, idleTimeoutMs });
      let bytes = 0;
      try {
        for await (const chunk of session.copyOut("basebackup")) {
          if (bytes === 0) await sleep(pauseMs);
          bytes += chunk.length;
        }
        return bytes;
      } finally {
        session.close();
      }
    };
    expect(await failure(read(100, 0))).toMatchObject({ code: "read_timeout" });
    expect(await read(100, 300)).toBe(4_000_000);
  });

  test("an abort ends a running copy", async () => {
    await using server = await startLibpqServer({ answer: () => copyStart(GZIPPED) });
    const owner = new AbortController();
    const connectionString = `postgresql://127.0.0.1:${server.port}`;
    const session = await LibpqSession.connect({ ...limits, connectionString, signal: owner.signal });
    const reading = async (): Promise<void> => {
      for await (const _ of session.copyOut("x")) owner.abort(new Error("stopping"));
    };
    expect((await failure(reading())).message).toBe("stopping");
    session.close();
    session.close();
  });

  test.each<[string, ScriptedLibpqOptions["answer"], string]>([
    ["rows instead of a copy", () => encodeCommandComplete("SELECT 1"), "protocol_violation"],
    ["nonsense", () => Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n"), "protocol_violation"],
    ["a shutdown", () => encodeErrorResponse({ severity: "FATAL", code: "57P01", message: "shutdown" }), "57P01"],
  ])("%s", async (_, answer, code) => {
    await using server = await startLibpqServer({ answer });
    expect(await failure(fetchFrom(server.port))).toMatchObject({ code });
  });

  test("TLS that cannot be had is refused, not left out", async () => {
    const connectionString = "postgresql://127.0.0.1:1?sslmode=require";
    expect(await failure(LibpqSession.connect({ ...limits, connectionString, signal: live() }))).toMatchObject({
      code: "tls_unsupported",
    });
  });

  test("a session over a Unix socket and key=value words", async () => {
    await using server = await startLibpqServer({ answer: () => copyAnswer(Buffer.from("x")) });
    const proxy = createServer((client) => {
      const upstream = import("node:net").then(({ connect }) => connect(server.port, "127.0.0.1"));
      void upstream.then((socket) => client.pipe(socket).pipe(client));
    });
    proxy.listen(join(root, ".s.PGSQL.7777"));
    await once(proxy, "listening");
    const session = await LibpqSession.connect({
      ...limits,
      connectionString: `host=${root} port=7777 user=me dbname=d`,
      signal: live(),
    });
    const chunks: Buffer[] = [];
    for await (const chunk of session.copyOut("x")) chunks.push(chunk);
    expect(Buffer.concat(chunks)).toEqual(Buffer.from("x"));
    expect(server.sessions[0]?.parameters.get("user")).toBe("me");
    expect(server.sessions[0]?.parameters.get("database")).toBe("d");
    session.close();
    proxy.close();
  });
});
