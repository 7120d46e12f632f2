import { gunzipSync } from "node:zlib";
import { type Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BASE_BACKUP_COMPRESSION, type GetBaseBackupRequest } from "../../src/wire/page_api/base_backup.ts";
import { timestampToMillis } from "../../src/wire/page_api/lease_lsn.ts";
import { pageServiceDefinition } from "../../src/wire/page_api/page_service.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";
import { OTHER, RunningStore, TENANT, TIMELINE, tokenIssuer } from "./running_store.ts";

let store: RunningStore;
let lsn: bigint;
let client: Client;
beforeAll(async () => {
  store = await RunningStore.start({ waitLsnTimeoutMs: 200 });
  lsn = await store.createTimeline(17);
  client = await connect(store);
});
afterAll(async () => {
  client.close();
  await store[Symbol.asyncDispose]();
});

async function connect(to: RunningStore): Promise<Client> {
  const { Client } = await import("@grpc/grpc-js");
  const { host, port } = to.server.addresses.grpc;
  return new Client(`${host}:${port}`, credentials.createInsecure());
}

const HEADERS = { "neon-tenant-id": TENANT, "neon-timeline-id": TIMELINE, "neon-shard-id": "0000" };

function metadata(headers: Record<string, string | undefined> = {}): Metadata {
  const result = new Metadata();
  for (const [name, value] of Object.entries({ ...HEADERS, ...headers }))
    if (value !== undefined) result.set(name, value);
  return result;
}

interface Outcome {
  readonly code: status;
  readonly details: string;
  readonly chunks: readonly Buffer[];
}

async function backup(
  request: Partial<GetBaseBackupRequest> = {},
  headers: Record<string, string | undefined> = {},
  from = client,
): Promise<Outcome> {
  const { path, requestSerialize, responseDeserialize } = pageServiceDefinition.GetBaseBackup;
  const whole = { lsn: 0n, replica: false, full: false, compression: BASE_BACKUP_COMPRESSION.gzip, ...request };
  const call = from.makeServerStreamRequest(path, requestSerialize, responseDeserialize, whole, metadata(headers));
  const chunks: Buffer[] = [];
  return await new Promise((resolve) => {
    call.on("data", ({ chunk }: { chunk: Buffer }) => chunks.push(Buffer.from(chunk)));
    call.on("error", () => undefined);
    call.on("status", ({ code, details }) => resolve({ code, details, chunks }));
  });
}

async function lease(at: bigint, headers: Record<string, string | undefined> = {}): Promise<number | ServiceError> {
  const { path, requestSerialize, responseDeserialize } = pageServiceDefinition.LeaseLsn;
  return await new Promise((resolve) => {
    client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      { lsn: at },
      metadata(headers),
      (error, reply) => {
        resolve(error ?? (reply?.expires ? timestampToMillis(reply.expires) : Number.NaN));
      },
    );
  });
}

describe("storage-protocols.md case 12: GetBaseBackup", () => {
  test("lsn 0 is the latest; gzip and none give the same archive as libpq", async () => {
    const { copied } = await store.query(`basebackup ${TENANT} ${TIMELINE}`);
    const gzip = await backup();
    const plain = await backup({ compression: BASE_BACKUP_COMPRESSION.none, full: true });
    expect([gzip.code, plain.code]).toEqual([status.OK, status.OK]);
    for (const chunk of [...gzip.chunks, ...plain.chunks]) {
      expect(chunk.length).toBeGreaterThan(0);
      expect(chunk.length).toBeLessThanOrEqual(256 * 1024);
    }
    expect(gunzipSync(Buffer.concat(gzip.chunks)).length).toBe(copied.length);
    expect(Buffer.concat(plain.chunks).length).toBe(copied.length);
    expect((await backup({ lsn })).code).toBe(status.OK);
  });

  test.each<[string, Partial<GetBaseBackupRequest>, Record<string, string | undefined>, status, string]>([
    ["compression 0", { compression: 0 }, {}, status.INVALID_ARGUMENT, "compression"],
    ["compression 7", { compression: 7 }, {}, status.INVALID_ARGUMENT, "compression"],
    [
      "shard 0108",
      {},
      { "neon-shard-id": "0108" },
      status.INVALID_ARGUMENT,
      "request only valid on shard zero (requested shard 0108)",
    ],
    ["shard 0008", {}, { "neon-shard-id": "0008" }, status.NOT_FOUND, "has no shards"],
    ["no tenant", {}, { "neon-tenant-id": undefined }, status.INVALID_ARGUMENT, "missing neon-tenant-id"],
    ["no timeline", {}, { "neon-timeline-id": undefined }, status.INVALID_ARGUMENT, "missing neon-timeline-id"],
    ["no shard", {}, { "neon-shard-id": undefined }, status.INVALID_ARGUMENT, "missing neon-shard-id"],
    ["bad tenant", {}, { "neon-tenant-id": "x" }, status.INVALID_ARGUMENT, "invalid neon-tenant-id"],
    ["bad shard", {}, { "neon-shard-id": "1" }, status.INVALID_ARGUMENT, "invalid neon-shard-id"],
    ["unknown tenant", {}, { "neon-tenant-id": OTHER }, status.NOT_FOUND, OTHER],
    ["unknown timeline", {}, { "neon-timeline-id": OTHER }, status.NOT_FOUND, OTHER],
    ["an LSN below the cutoff", { lsn: 8n }, {}, status.INVALID_ARGUMENT, "invalid basebackup LSN: LSN 0/8 is earlier"],
    ["an LSN that does not come", { lsn: 1n << 60n }, {}, status.INTERNAL, "Timed out while waiting for WAL record"],
  ])("%s", async (_what, request, headers, code, details) => {
    const outcome = await backup(request, headers);
    expect(outcome).toMatchObject({ code, chunks: [] });
    expect(outcome.details).toContain(details);
  });

  test("a client that leaves ends the wait", async () => {
    await using own = await RunningStore.start();
    await own.createTimeline(17);
    const leaver = await connect(own);
    const { path, requestSerialize, responseDeserialize } = pageServiceDefinition.GetBaseBackup;
    const request = { lsn: 1n << 60n, replica: false, full: false, compression: BASE_BACKUP_COMPRESSION.gzip };
    const call = leaver.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request, metadata());
    const cancelled = new Promise<{ code: number }>((resolve) => call.on("status", resolve));
    call.on("error", () => undefined);
    call.cancel();
    expect((await cancelled).code).toBe(status.CANCELLED);
    leaver.close();
    // Not held up by the call that nobody waits for.
    await own.server.stop(60_000);
  });
});

describe("LeaseLsn", () => {
  test("a time, or FAILED_PRECONDITION below the cutoff", async () => {
    expect(Math.abs(Number(await lease(lsn)) - Date.now() - 600_000)).toBeLessThan(5000);
    expect(await lease(8n)).toMatchObject({ code: status.FAILED_PRECONDITION });
    expect(await lease(0n)).toMatchObject({ code: status.INVALID_ARGUMENT });
    expect(await lease(lsn, { "neon-timeline-id": OTHER })).toMatchObject({ code: status.NOT_FOUND });
  });
});

test("storage-protocols.md case 21: tokens in metadata", async () => {
  await using directory = await temporaryDirectory();
  const issuer = await tokenIssuer(directory.path);
  await using own = await RunningStore.start({ authPublicKeyPath: issuer.path });
  await own.createTimeline(17);
  const from = await connect(own);
  const code = async (authorization?: string): Promise<status> => (await backup({}, { authorization }, from)).code;
  const bearer = async (claims: Record<string, unknown>): Promise<string> => `Bearer ${await issuer.sign(claims)}`;
  expect(await code(await bearer({ scope: "tenant", tenant_id: TENANT }))).toBe(status.OK);
  expect(await code()).toBe(status.UNAUTHENTICATED);
  expect(await code("Basic x")).toBe(status.INVALID_ARGUMENT);
  expect(await code("Bearer x")).toBe(status.INVALID_ARGUMENT);
  expect(await code(await bearer({ scope: "tenant", tenant_id: OTHER }))).toBe(status.PERMISSION_DENIED);
  expect(await code(await bearer({ scope: "safekeeperdata" }))).toBe(status.PERMISSION_DENIED);
  from.close();
});
