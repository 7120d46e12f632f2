import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { LocalFileCache } from "../../src/node/local_file_cache.ts";
import { adminConnect } from "../../src/reconcile/admin_session.ts";
import { decodeComputeSpec } from "../../src/spec/decode.ts";
import { resolveSpec } from "../../src/spec/resolve.ts";
import { ComputeMetrics } from "../../src/telemetry/compute_metrics.ts";
import { collectingLog } from "../support/collecting_log.ts";
import { startServer, type TestServer } from "../support/postgres.ts";

/** The functions of Neon's extension, as far as their callers see them, in a stock server. */
const FUNCTIONS = `
CREATE SCHEMA neon;
CREATE TABLE neon.cache (state bytea, prewarmed int);
INSERT INTO neon.cache VALUES ('cached pages', 0);
CREATE FUNCTION neon.get_local_cache_state() RETURNS bytea LANGUAGE sql AS 'SELECT state FROM neon.cache';
CREATE FUNCTION neon.prewarm_local_cache(pages bytea) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF pages = 'slow' THEN PERFORM pg_sleep(600); END IF;
  UPDATE neon.cache SET prewarmed = length(pages);
END $$;
CREATE FUNCTION neon.get_prewarm_info(OUT total_pages int, OUT prewarmed_pages int, OUT skipped_pages int, OUT workers int)
RETURNS record LANGUAGE sql AS 'SELECT prewarmed + 1, prewarmed, 1, 0 FROM neon.cache'`;

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
  await server.query(FUNCTIONS);
});
afterAll(async () => await server?.[Symbol.asyncDispose]());
beforeEach(async () => {
  await server.query("UPDATE neon.cache SET state = 'cached pages', prewarmed = 0");
});

/** Keeps what was put; its status can be changed. */
async function endpointStorage() {
  const kept = new Map<string, Buffer>();
  const storage = {
    kept,
    status: undefined as number | undefined,
    seen: [] as IncomingMessage[],
    address: "",
    [Symbol.dispose]: () => {
      http.close();
      http.closeAllConnections();
    },
  };
  const http = createServer(async (request, response) => {
    storage.seen.push(request);
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const url = request.url ?? "";
    if (request.method === "PUT" && storage.status === undefined) kept.set(url, Buffer.concat(parts));
    const found = kept.get(url);
    response.writeHead(storage.status ?? (found === undefined ? 404 : 200)).end(found);
  }).listen(0, "127.0.0.1");
  await once(http, "listening");
  storage.address = `127.0.0.1:${(http.address() as AddressInfo).port}`;
  return storage;
}

async function cacheOver(address: string | null, more: object = {}, kind: "neon" | "stock" = "neon") {
  const spec = {
    format_version: 1,
    suspend_timeout_seconds: -1,
    cluster: { roles: [], databases: [] },
    tenant_id: "1".repeat(32),
    timeline_id: "2".repeat(32),
    endpoint_id: "ep-1",
    pageserver_connstring: "postgresql://pageserver:6400",
    safekeeper_connstrings: ["safekeeper:5454"],
    endpoint_storage_addr: address,
    endpoint_storage_token: "secret",
    ...more,
  };
  const resolved = resolveSpec(decodeComputeSpec(JSON.stringify(spec)));
  const metrics = new ComputeMetrics("latest");
  const cache = new LocalFileCache({
    kind,
    spec: () => resolved,
    connect: adminConnect({ connstr: server.connstr }),
    database: "postgres",
    metrics,
    log: collectingLog().log,
    signal: new AbortController().signal,
  });
  const figures = async (): Promise<number[]> => {
    const text = await metrics.text();
    return ["prewarms", "prewarm_errors", "offloads", "offload_errors"].map((name) =>
      Number(new RegExp(`^compute_ctl_lfc_${name}_total (.*)$`, "m").exec(text)?.[1]),
    );
  };
  return { cache, figures };
}

const ended = { timeout: 10_000 };

test("http-api.md case 30: nothing saved is skipped; saved and loaded again is completed", async () => {
  using storage = await endpointStorage();
  const { cache, figures } = await cacheOver(storage.address);
  expect([cache.prewarmState.status, cache.offloadState.status]).toEqual(["not_prewarmed", "not_offloaded"]);
  expect(cache.startPrewarm(null)).toBe(true);
  expect(cache.startPrewarm(null)).toBe(false);
  await expect.poll(() => cache.prewarmState, ended).toEqual({ status: "skipped" });
  expect(cache.startOffload()).toBe(true);
  expect(cache.startOffload()).toBe(false);
  await expect.poll(() => cache.offloadState.status, ended).toBe("completed");
  const path = `/${"1".repeat(32)}/${"2".repeat(32)}/ep-1/lfc_state`;
  // zstd's magic number.
  expect(storage.kept.get(path)?.subarray(0, 4).toString("hex")).toBe("28b52ffd");
  expect(storage.seen[0]?.headers.authorization).toBe("Bearer secret");
  cache.startPrewarm(null);
  await expect.poll(() => cache.prewarmState.status, ended).not.toBe("prewarming");
  expect(cache.prewarmState).toMatchObject({
    status: "completed",
    total: 13,
    prewarmed: 12,
    skipped: 1,
  });
  expect(await figures()).toEqual([2, 0, 1, 0]);
});

test("another endpoint's state is looked for under our own tenant and timeline", async () => {
  using storage = await endpointStorage();
  const { cache } = await cacheOver(storage.address);
  cache.startPrewarm("ep-2");
  await expect.poll(() => cache.prewarmState.status, ended).toBe("skipped");
  expect(storage.seen[0]?.url).toBe(`/${"1".repeat(32)}/${"2".repeat(32)}/ep-2/lfc_state`);
});

test("http-api.md case 31: without a cache an offload is skipped; a storage that fails is failed, and the next one is taken", async () => {
  using storage = await endpointStorage();
  const { cache, figures } = await cacheOver(storage.address);
  await server.query("UPDATE neon.cache SET state = NULL");
  cache.startOffload();
  await expect.poll(() => cache.offloadState, ended).toEqual({ status: "skipped" });
  await server.query("UPDATE neon.cache SET state = 'cached pages'");
  storage.status = 503;
  cache.startOffload();
  await expect
    .poll(() => cache.offloadState, ended)
    .toEqual({
      status: "failed",
      error: "request to endpoint storage failed: 503 Service Unavailable",
    });
  cache.startPrewarm(null);
  await expect
    .poll(() => cache.prewarmState, ended)
    .toEqual({
      status: "failed",
      error: "503 Service Unavailable querying endpoint storage",
    });
  expect(cache.mayOffloadByItself).toBe(false);
  storage.status = undefined;
  expect(cache.startOffload()).toBe(true);
  await expect.poll(() => cache.offloadState.status, ended).toBe("completed");
  // metrics-and-logs.md case 15
  expect(await figures()).toEqual([1, 1, 3, 1]);
});

test("http-api.md case 32: a cancel while nothing runs does nothing; http-api.md case 30: one during a run ends it, and the next completes", async () => {
  using storage = await endpointStorage();
  const { cache, figures } = await cacheOver(storage.address);
  await server.query("UPDATE neon.cache SET state = 'slow'");
  cache.startOffload();
  await expect.poll(() => cache.offloadState.status, ended).toBe("completed");
  cache.startPrewarm(null);
  const sleeping = "SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
  await expect.poll(async () => (await server.query<{ n: number }>(sleeping))[0]?.n, ended).toBe(1);
  cache.cancelPrewarm();
  await expect.poll(() => cache.prewarmState, ended).toEqual({ status: "cancelled" });
  await expect.poll(async () => (await server.query<{ n: number }>(sleeping))[0]?.n, ended).toBe(0);
  await server.query("UPDATE neon.cache SET state = 'fast'");
  cache.startOffload();
  await expect.poll(() => cache.offloadState.status, ended).toBe("completed");
  cache.cancelPrewarm();
  cache.startPrewarm(null);
  await expect.poll(() => cache.prewarmState.status, ended).toBe("completed");
  expect(await figures()).toEqual([2, 0, 2, 0]);
});

test.each([
  [{ endpoint_id: null }, "pspec.endpoint_id missing, other endpoint_id not provided"],
  [{ endpoint_storage_addr: null }, "pspec.endpoint_storage_addr missing"],
  [{ endpoint_storage_token: null }, "pspec.endpoint_storage_token missing"],
])("what the spec lacks is said: %j", async (more, error) => {
  const { cache } = await cacheOver("127.0.0.1:1", more);
  cache.startPrewarm(null);
  await expect.poll(() => cache.prewarmState, ended).toEqual({ status: "failed", error });
});

test("a stock server has no such cache: everything is skipped and nothing is asked", async () => {
  const { cache, figures } = await cacheOver(null, {}, "stock");
  cache.startPrewarm(null);
  cache.startOffload();
  await expect
    .poll(() => [cache.prewarmState.status, cache.offloadState.status], ended)
    .toEqual(["skipped", "skipped"]);
  expect(await figures()).toEqual([1, 0, 1, 0]);
});
