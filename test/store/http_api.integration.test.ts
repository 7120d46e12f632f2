import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tryParseLsn } from "../../src/wire/lsn.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";
import { OTHER, RunningStore, realInitdb, TENANT, TIMELINE, tokenIssuer } from "./running_store.ts";

let store: RunningStore;
beforeAll(async () => {
  store = await RunningStore.start();
  await store.attachTenant();
});
afterAll(async () => {
  await store[Symbol.asyncDispose]();
});

const ATTACH = { mode: "AttachedSingle", generation: 1, tenant_conf: {} };
const TENANT_PATH = `/v1/tenant/${TENANT}`;
const TIMELINES = `${TENANT_PATH}/timeline`;

describe("tenants", () => {
  test("status tells the node", async () => {
    expect(await store.http("GET", "/v1/status")).toMatchObject({ status: 200, body: { id: 1 } });
  });

  test("unknown until it is attached, gone while it is detached, the same afterwards", async () => {
    const path = `/v1/tenant/${OTHER}`;
    expect((await store.http("GET", path)).status).toBe(404);
    const detach = { mode: "Detached", tenant_conf: {} };
    expect(await store.http("PUT", `${path}/location_config`, detach)).toMatchObject({ status: 200, body: null });
    expect((await store.http("GET", path)).status).toBe(404);
    const attached = await store.http("PUT", `${path}/location_config?flush_ms=1&lazy=true`, {
      ...ATTACH,
      generation: 7,
    });
    expect(attached).toMatchObject({
      status: 200,
      body: { shards: [{ shard_id: OTHER, node_id: 1 }], stripe_size: null },
    });
    expect(await store.http("GET", path)).toMatchObject({
      status: 200,
      body: {
        id: OTHER,
        state: { slug: "Active" },
        attachment_status: { slug: "attached" },
        generation: 7,
        timelines: [],
      },
    });
    expect((await store.http("GET", "/v1/tenant")).body).toHaveLength(2);
    expect((await store.http("PUT", `${path}/location_config`, { ...ATTACH, generation: 6 })).status).toBe(409);
    await store.http("PUT", `${path}/location_config`, detach);
    expect((await store.http("GET", "/v1/tenant")).body).toHaveLength(1);
    expect((await store.http("PUT", `${path}/location_config`, { ...ATTACH, generation: 6 })).status).toBe(409);
    expect((await store.http("PUT", `${path}/location_config`, { ...ATTACH, generation: 8 })).status).toBe(200);
    await store.http("PUT", `${path}/location_config`, detach);
  });

  test.each([
    ["an unknown field", { ...ATTACH, nonsense: 1 }],
    ["an unknown mode", { ...ATTACH, mode: "Attached" }],
    ["no generation", { mode: "AttachedSingle" }],
    ["a secondary location", { ...ATTACH, mode: "Secondary" }],
    ["shards", { ...ATTACH, shard_number: 0, shard_count: 2 }],
    ["no JSON", "{"],
    ["no object", "[]"],
  ])("location_config with %s is refused", async (_what, body) => {
    const answer = await store.http("PUT", `${TENANT_PATH}/location_config`, body);
    expect(answer).toMatchObject({ status: 400, body: { msg: expect.any(String) } });
  });
});

describe("timelines", () => {
  test("bootstrap, ask again, conflict, list, delete", async () => {
    const body = { new_timeline_id: TIMELINE, pg_version: 17 };
    // Upstream's scripts put a slash at the end.
    const created = await store.http("POST", `${TIMELINES}/`, body);
    expect(created.status).toBe(201);
    const { last_record_lsn, prev_record_lsn, initdb_lsn, current_logical_size, system_identifier } = created.body;
    expect(created.body).toMatchObject({
      tenant_id: TENANT,
      timeline_id: TIMELINE,
      ancestor_timeline_id: null,
      ancestor_lsn: null,
      pg_version: 17,
      state: "Active",
      initdb_lsn: last_record_lsn,
      min_readable_lsn: last_record_lsn,
      disk_consistent_lsn: last_record_lsn,
      flush_lsn: last_record_lsn,
      commit_lsn: last_record_lsn,
      current_logical_size_is_accurate: true,
      is_archived: false,
    });
    for (const text of [last_record_lsn, prev_record_lsn, initdb_lsn]) expect(tryParseLsn(String(text))).toBeDefined();
    expect(current_logical_size).toBeGreaterThan(10_000_000);
    expect(system_identifier).toMatch(/^\d{19}$/);

    expect(await store.http("POST", TIMELINES, body)).toMatchObject({ status: 201, body: created.body });
    expect((await store.http("POST", TIMELINES, { ...body, new_timeline_id: TIMELINE.toUpperCase() })).status).toBe(
      201,
    );
    expect(await store.http("POST", TIMELINES, { ...body, pg_version: 16 })).toMatchObject({
      status: 409,
      body: { msg: expect.stringContaining("already exists") },
    });
    expect((await store.http("GET", TIMELINES)).body).toEqual([created.body]);
    expect((await store.http("GET", `${TIMELINES}/${TIMELINE}`)).body).toEqual(created.body);
    expect((await store.http("GET", `${TENANT_PATH}-0000/timeline/${TIMELINE}`)).status).toBe(200);

    expect((await store.http("DELETE", `${TIMELINES}/${TIMELINE}`)).status).toBe(202);
    await store.server.store.tenants.settled();
    expect((await store.http("DELETE", `${TIMELINES}/${TIMELINE}`)).status).toBe(404);
    expect((await store.http("GET", `${TIMELINES}/${TIMELINE}`)).status).toBe(404);
    expect((await store.http("GET", TIMELINES)).body).toEqual([]);
  });

  test("many at once share one initdb and one timeline each", async () => {
    let runs = 0;
    await using directory = await temporaryDirectory();
    await using own = await RunningStore.start({
      templateDir: directory.path,
      initdb: async (request) => {
        runs++;
        await realInitdb(request);
      },
    });
    await own.attachTenant();
    const ids = Array.from({ length: 4 }, (_, index) => `${index}`.repeat(32));
    const answers = await Promise.all(
      [...ids, ...ids].map((id) => own.http("POST", TIMELINES, { new_timeline_id: id, pg_version: 17 })),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(201));
    expect(runs).toBe(1);
    expect((await own.http("GET", TIMELINES)).body).toHaveLength(4);
    expect(new Set(answers.map(({ body }) => body.system_identifier)).size).toBe(4);
  });

  test("initdb that fails is an error that says so, and is tried again", async () => {
    await using directory = await temporaryDirectory();
    let fails = true;
    await using own = await RunningStore.start({
      templateDir: directory.path,
      initdb: async (request) => {
        if (fails) throw new Error("no room");
        await realInitdb(request);
      },
    });
    await own.attachTenant();
    const body = { new_timeline_id: TIMELINE, pg_version: 17 };
    const failed = await own.http("POST", TIMELINES, body);
    expect(failed.status).toBe(500);
    expect(failed.body.msg).toMatch(/could not make a template of PostgreSQL 17.*: no room/);
    expect((await own.http("GET", `${TIMELINES}/${TIMELINE}`)).status).toBe(404);
    fails = false;
    expect((await own.http("POST", TIMELINES, body)).status).toBe(201);
  });

  test.each<[string, unknown, number]>([
    ["no id", { pg_version: 17 }, 400],
    ["a bad id", { new_timeline_id: "x", pg_version: 17 }, 400],
    ["a version that is too old", { new_timeline_id: OTHER, pg_version: 13 }, 400],
    ["a version that is no number", { new_timeline_id: OTHER, pg_version: "17" }, 400],
    ["an unknown field", { new_timeline_id: OTHER, pg_version: 17, nonsense: 1 }, 400],
    ["no JSON", "nonsense", 400],
    ["nothing", "", 400],
    ["an import", { new_timeline_id: OTHER, import_pgdata: {} }, 501],
  ])("a request with %s is refused", async (_what, body, status) => {
    expect(await store.http("POST", TIMELINES, body)).toMatchObject({ status, body: { msg: expect.any(String) } });
  });

  test("of unknown tenants and with bad ids", async () => {
    const unknown = "f".repeat(32);
    for (const [method, path, status] of [
      ["POST", `/v1/tenant/${unknown}/timeline`, 404],
      ["GET", `/v1/tenant/${unknown}/timeline`, 404],
      ["GET", `${TIMELINES}/${unknown}`, 404],
      ["DELETE", `${TIMELINES}/${unknown}`, 404],
      ["DELETE", `/v1/tenant/${unknown}/timeline/${TIMELINE}`, 412],
      ["GET", `${TIMELINES}/xyz`, 400],
      ["GET", "/v1/tenant/xyz", 400],
      ["GET", `${TENANT_PATH}-0102`, 404],
    ] as const) {
      const body = method === "POST" ? { new_timeline_id: OTHER, pg_version: 17 } : undefined;
      expect(await store.http(method, path, body), `${method} ${path}`).toMatchObject({
        status,
        body: { msg: expect.any(String) },
      });
    }
  });

  test("a lease over HTTP", async () => {
    const id = "a".repeat(32);
    const { body } = await store.http("POST", TIMELINES, { new_timeline_id: id, pg_version: 17 });
    const leased = await store.http("POST", `${TIMELINES}/${id}/lsn_lease`, { lsn: body.last_record_lsn });
    expect(leased.status).toBe(200);
    expect(Math.abs(Date.parse(String(leased.body.valid_until)) - Date.now() - 600_000)).toBeLessThan(5000);
    const refused = await store.http("POST", `${TIMELINES}/${id}/lsn_lease`, { lsn: "0/8" });
    expect(refused).toMatchObject({ status: 500, body: { msg: expect.stringContaining("invalid lsn lease request") } });
    expect((await store.http("POST", `${TIMELINES}/${id}/lsn_lease`, { lsn: "8" })).status).toBe(400);
  });
});

describe("everything else", () => {
  test("unknown routes, wrong methods, bodies that are too large, web pages", async () => {
    expect(await store.http("GET", "/nonsense")).toMatchObject({ status: 404, body: { msg: expect.any(String) } });
    const wrong = await store.http("PATCH", "/v1/status");
    expect(wrong).toMatchObject({ status: 405, body: { msg: expect.any(String) } });
    expect(wrong.headers.get("allow")).toBe("GET");
    const large = { new_timeline_id: OTHER, pg_version: 17, filler: "x".repeat(1024 * 1024) };
    expect((await store.http("POST", TIMELINES, large)).status).toBe(413);
    expect((await store.http("GET", "/v1/status", undefined, { origin: "https://example.com" })).status).toBe(403);
  });

  test("storage-protocols.md case 21: tokens over HTTP", async () => {
    await using directory = await temporaryDirectory();
    const issuer = await tokenIssuer(directory.path);
    await using own = await RunningStore.start({ authPublicKeyPath: issuer.path });
    await own.attachTenant();
    const ask = async (path: string, claims?: Record<string, unknown>) =>
      await own.http("GET", path, undefined, claims && { authorization: `Bearer ${await issuer.sign(claims)}` });
    expect((await ask("/v1/status")).status).toBe(200);
    expect(await ask(TENANT_PATH)).toMatchObject({
      status: 401,
      body: { msg: "Unauthorized: missing authorization header" },
    });
    expect((await ask(TENANT_PATH, { scope: "tenant", tenant_id: TENANT })).status).toBe(200);
    expect((await ask("/v1/tenant", { scope: "pageserverapi" })).status).toBe(200);
    for (const [path, claims] of [
      [TENANT_PATH, { scope: "tenant", tenant_id: OTHER }],
      ["/v1/tenant", { scope: "tenant", tenant_id: TENANT }],
      [TENANT_PATH, { scope: "safekeeperdata" }],
      [TENANT_PATH, { scope: "pageserverapi", exp: 1 }],
    ] as const)
      expect(await ask(path, claims)).toMatchObject({
        status: 403,
        body: { msg: "Forbidden: JWT authentication error" },
      });
  });
});
