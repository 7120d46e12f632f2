import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { status } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { fetchBaseBackup } from "../../src/basebackup/fetch_base_backup.ts";
import { type DialOptions, dialPageserver } from "../../src/basebackup/pageserver_connection.ts";
import { isPermanentStorageError } from "../../src/basebackup/permanent_error.ts";
import { unpackBaseBackup } from "../../src/basebackup/unpack.ts";
import { CONTROL_CONTENT, sampleTar } from "../support/sample_base_backup.ts";
import { grpcStatus, startPageService } from "../support/scripted_page_service.ts";

const GZIPPED = gzipSync(sampleTar(), { level: 0 });
const TENANT = "1".repeat(32);
const TIMELINE = "2".repeat(32);

let pgdata: string;

beforeEach(() => {
  pgdata = mkdtempSync(join(tmpdir(), "grpc-backup-"));
});
afterEach(() => rmSync(pgdata, { recursive: true, force: true }));

const control = () => join(pgdata, "global/pg_control");

function dialTo(url: string, options: Partial<DialOptions> = {}) {
  return dialPageserver({
    endpoint: { protocol: "grpc", url, shardIndex: "0000" },
    tenantId: TENANT,
    timelineId: TIMELINE,
    mode: "primary",
    token: "jwt",
    limits: { connectTimeoutMs: 5000, idleTimeoutMs: 5000 },
    signal: new AbortController().signal,
    ...options,
  });
}

function fetchFrom(url: string, options: Partial<DialOptions> = {}, lsn = 0n) {
  return fetchBaseBackup({ dial: () => dialTo(url, options), lsn, unpack: { pgdata } });
}

describe("base backup over gRPC", () => {
  test("storage-protocols.md case 12: metadata, compression and LSN of the request; lsn 0 is the latest", async () => {
    await using server = await startPageService({
      baseBackup: (call) => {
        for (let at = 0; at < GZIPPED.length; at += 256 * 1024)
          call.write({ chunk: GZIPPED.subarray(at, at + 256 * 1024) });
        call.end();
      },
    });
    const result = await fetchFrom(server.url);
    expect(server.calls[0]?.request).toEqual({ lsn: 0n, replica: false, full: false, compression: 2 });
    expect(server.calls[0]?.metadata).toMatchObject({
      "neon-tenant-id": TENANT,
      "neon-timeline-id": TIMELINE,
      "neon-shard-id": "0000",
      authorization: "Bearer jwt",
    });
    expect(server.calls[0]?.metadata).not.toHaveProperty("grpc-encoding");
    expect(result.compressedBytes).toBe(GZIPPED.length);
    expect(result.connectMicros).toBeGreaterThan(0);
    expect(readFileSync(control())).toEqual(CONTROL_CONTENT);

    const endpoint = { protocol: "grpc" as const, url: server.url, shardIndex: "0008" };
    await fetchFrom(server.url, { mode: "static", endpoint, token: undefined }, 0x300n);
    expect(server.calls[1]?.request).toEqual({ lsn: 0x300n, replica: true, full: false, compression: 2 });
    expect(server.calls[1]?.metadata).toMatchObject({ "neon-shard-id": "0008" });
    expect(server.calls[1]?.metadata).not.toHaveProperty("authorization");
    await fetchFrom(server.url, { mode: "replica" }, 0x300n);
    expect(server.calls[2]?.request).toEqual({ lsn: 0n, replica: true, full: false, compression: 2 });
  });

  test("without compression", async () => {
    await using server = await startPageService({
      baseBackup: (call) => {
        call.write({ chunk: sampleTar() });
        call.end();
      },
    });
    const connection = await dialTo(server.url);
    await unpackBaseBackup(connection.baseBackup(0n, false), { pgdata, gzip: false });
    connection.close();
    expect(server.calls[0]?.request).toMatchObject({ compression: 1 });
    expect(existsSync(control())).toBe(true);
  });

  test("storage-protocols.md case 12: an error status after two chunks fails the try, also when the tar was whole", async () => {
    for (const chunks of [
      [GZIPPED.subarray(0, 1000), GZIPPED.subarray(1000, 2000)],
      [GZIPPED.subarray(0, 1000), GZIPPED.subarray(1000)],
    ]) {
      await using server = await startPageService({
        baseBackup: (call) => {
          for (const chunk of chunks) call.write({ chunk });
          throw grpcStatus(status.INTERNAL, "disk on fire");
        },
      });
      await expect(fetchFrom(server.url)).rejects.toMatchObject({
        code: "grpc_internal",
        message: "INTERNAL: disk on fire",
      });
      expect(existsSync(control())).toBe(false);
    }
  });

  test.each([
    ["grpc_not_found", status.NOT_FOUND, true],
    ["grpc_permission_denied", status.PERMISSION_DENIED, true],
    ["grpc_unauthenticated", status.UNAUTHENTICATED, true],
    ["grpc_unavailable", status.UNAVAILABLE, false],
  ] as const)("%s", async (code, number, permanent) => {
    await using server = await startPageService({
      baseBackup: () => {
        throw grpcStatus(number, "x");
      },
    });
    const error: unknown = await fetchFrom(server.url).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code });
    expect(isPermanentStorageError(error)).toBe(permanent);
  });

  test("a refused connection is reported at once, with its reason", async () => {
    const server = await startPageService({});
    await server[Symbol.asyncDispose]();
    await expect(fetchFrom(server.url)).rejects.toMatchObject({
      code: "grpc_unavailable",
      message: expect.stringContaining("ECONNREFUSED") as string,
    });
  });

  test("silence and aborts end a call", async () => {
    await using server = await startPageService({
      baseBackup: (call) => void call.write({ chunk: GZIPPED.subarray(0, 99) }),
    });
    const limits = { connectTimeoutMs: 5000, idleTimeoutMs: 100 };
    await expect(fetchFrom(server.url, { limits })).rejects.toMatchObject({ code: "read_timeout" });
    const owner = new AbortController();
    const fetching = fetchFrom(server.url, { signal: owner.signal });
    await expect.poll(() => server.calls.length).toBe(2);
    owner.abort(new Error("stopping"));
    await expect(fetching).rejects.toThrow("stopping");
    await expect(fetchFrom(server.url, { signal: owner.signal })).rejects.toThrow("stopping");
  });
});
