import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { errorCode } from "../../errors/coded_error.ts";
import type { Logger } from "../../telemetry/log.ts";
import { formatLsn, tryParseLsn } from "../../wire/lsn.ts";
import { lsnAtTime, timeAtLsn } from "../commit_time.ts";
import type { Store } from "../store.ts";
import { StoreError } from "../store_error.ts";
import { timelineInfo } from "../timeline_info.ts";
import type { TenantRecord } from "../timeline_record.ts";
import { formatTimestamp, parseTimestamp } from "../timestamp.ts";
import type { TokenVerifier } from "../token.ts";
import { answerError, errorAnswer } from "./errors.ts";
import { refuseBrowsers, requireToken } from "./guard.ts";
import {
  bootstrapBody,
  branchBody,
  leaseBody,
  locationConfigBody,
  readBody,
  readJson,
  tenantOf,
  timelineOf,
} from "./request.ts";

/** This process is node 1 of its storage: pageserver and safekeeper at once. */
const NODE_ID = 1;
const MAX_BODY = 1024 * 1024;

export interface ApiOptions {
  readonly store: Store;
  readonly verify: TokenVerifier | undefined;
  readonly log: Logger;
}

type Route = readonly [
  method: "GET" | "PUT" | "POST" | "DELETE",
  path: string,
  handler: (c: Context) => Response | Promise<Response>,
];

/** The management API, as far as a manager of one machine needs it (contract: storage-protocols.md 7). */
export function createApi({ store, verify, log }: ApiOptions): Hono {
  const app = new Hono({ strict: false });
  app.onError((error, context) => answerError(context, error, log));
  app.notFound((context) => errorAnswer(context, 404, `page not found: ${context.req.path}`));
  app.use(refuseBrowsers);
  app.use(
    bodyLimit({
      maxSize: MAX_BODY,
      onError: (context) => errorAnswer(context, 413, `request body larger than ${MAX_BODY} bytes`),
    }),
  );
  if (verify) app.use(requireToken(verify));
  const routes: readonly Route[] = [
    ["GET", "/v1/status", (c) => c.json({ id: NODE_ID, store_id: store.record.store_id, format: store.record.format })],
    ["GET", "/v1/tenant", (c) => c.json(store.tenants.list().map(tenantInfo))],
    ["GET", "/v1/tenant/:tenant", (c) => getTenant(c, store)],
    ["PUT", "/v1/tenant/:tenant/location_config", (c) => putLocationConfig(c, store)],
    ["GET", "/v1/tenant/:tenant/timeline", (c) => listTimelines(c, store)],
    ["POST", "/v1/tenant/:tenant/timeline", (c) => postTimeline(c, store)],
    ["GET", "/v1/tenant/:tenant/timeline/:timeline", (c) => getTimeline(c, store)],
    ["DELETE", "/v1/tenant/:tenant/timeline/:timeline", (c) => deleteTimeline(c, store)],
    ["POST", "/v1/tenant/:tenant/timeline/:timeline/lsn_lease", (c) => postLease(c, store)],
    ["GET", "/v1/tenant/:tenant/timeline/:timeline/get_lsn_by_timestamp", (c) => getLsnByTimestamp(c, store)],
    ["GET", "/v1/tenant/:tenant/timeline/:timeline/get_timestamp_of_lsn", (c) => getTimestampOfLsn(c, store)],
  ];
  for (const [method, path, handler] of routes) app.on(method, path, handler);
  for (const path of new Set(routes.map(([, path]) => path)))
    app.all(path, (c) => {
      const allowed = routes.filter(([, each]) => each === path).map(([method]) => method);
      c.header("allow", allowed.join(", "));
      return errorAnswer(c, 405, `method ${c.req.method} is not allowed here`);
    });
  return app;
}

function tenantInfo(record: TenantRecord): Record<string, unknown> {
  return {
    id: record.tenant_id,
    state: { slug: "Active" },
    current_physical_size: null,
    attachment_status: { slug: "attached" },
    generation: record.generation,
  };
}

function getTenant(c: Context, store: Store): Response {
  const tenantId = tenantOf(c);
  const timelines = store.tenants.timelines(tenantId).map(({ record }) => record.timeline_id);
  return c.json({ ...tenantInfo(store.tenants.tenant(tenantId)), walredo: null, timelines });
}

async function putLocationConfig(c: Context, store: Store): Promise<Response> {
  const tenantId = tenantOf(c);
  const { mode, generation = null, shard_count = 0, tenant_conf = {} } = await readBody(c, locationConfigBody);
  if (mode === "Secondary") throw new StoreError("bad_request", "this store keeps no secondary locations");
  if (shard_count !== 0) throw new StoreError("bad_request", "this store keeps no sharded tenants");
  if (mode !== "Detached" && generation === null)
    throw new StoreError("bad_request", `generation is required for mode ${mode}`);
  await store.tenants.setLocation(tenantId, { mode, generation, tenant_conf });
  if (mode === "Detached") return c.json(null);
  return c.json({ shards: [{ shard_id: tenantId, node_id: NODE_ID }], stripe_size: null });
}

async function listTimelines(c: Context, store: Store): Promise<Response> {
  return c.json(await Promise.all(store.tenants.timelines(tenantOf(c)).map(timelineInfo)));
}

async function postTimeline(c: Context, store: Store): Promise<Response> {
  const tenantId = tenantOf(c);
  const body = await readJson(c);
  const has = (key: string): boolean => typeof body === "object" && body !== null && key in body;
  if (has("ancestor_timeline_id")) {
    const branch = await readBody(c, branchBody);
    const timeline = await store.branch({
      tenantId,
      timelineId: branch.new_timeline_id,
      ancestorId: branch.ancestor_timeline_id,
      lsn: branch.ancestor_start_lsn ?? undefined,
    });
    return c.json(await timelineInfo(timeline), 201);
  }
  for (const key of ["import_pgdata", "existing_initdb_timeline_id"])
    if (has(key))
      throw new StoreError("not_implemented", `this store makes timelines by initdb or as a branch, not with ${key}`);
  const { new_timeline_id, pg_version } = await readBody(c, bootstrapBody);
  return c.json(await timelineInfo(await store.bootstrap(tenantId, new_timeline_id, pg_version)), 201);
}

async function getTimeline(c: Context, store: Store): Promise<Response> {
  return c.json(await timelineInfo(store.tenants.timeline(tenantOf(c), timelineOf(c))));
}

function deleteTimeline(c: Context, store: Store): Response {
  try {
    store.tenants.deleteTimeline(tenantOf(c), timelineOf(c));
  } catch (error) {
    if (errorCode(error) === "tenant_not_found") return errorAnswer(c, 412, "tenant is missing");
    throw error;
  }
  return c.json(null, 202);
}

async function getLsnByTimestamp(c: Context, store: Store): Promise<Response> {
  const timeline = store.tenants.timeline(tenantOf(c), timelineOf(c));
  const text = c.req.query("timestamp") ?? "";
  const time = parseTimestamp(text);
  if (time === undefined)
    throw new StoreError(
      "bad_request",
      `timestamp ${JSON.stringify(text)} is no RFC 3339 time, such as 2000-01-01T00:00:00Z`,
    );
  const { kind, lsn } = await timeline.whileReadable(
    async () => await lsnAtTime(await timeline.readableHistory(), time),
  );
  const until = c.req.query("with_lease") === "true" ? store.leases.take(timeline, lsn) : undefined;
  return c.json({
    lsn: formatLsn(lsn),
    kind,
    ...(until !== undefined && { valid_until: new Date(until).toISOString() }),
  });
}

async function getTimestampOfLsn(c: Context, store: Store): Promise<Response> {
  const timeline = store.tenants.timeline(tenantOf(c), timelineOf(c));
  const text = c.req.query("lsn") ?? "";
  const lsn = tryParseLsn(text);
  if (lsn === undefined) throw new StoreError("bad_request", `not an LSN: ${JSON.stringify(text)}`);
  const time = await timeline.whileReadable(async () => {
    const history = await timeline.readableHistory();
    return lsn > history.end || lsn < history.from ? undefined : await timeAtLsn(history, lsn);
  });
  if (time === undefined)
    throw new StoreError(
      "timestamp_unknown",
      `no commit is known at or before ${formatLsn(lsn)} on timeline ${timeline.name}`,
    );
  return c.json(formatTimestamp(time));
}

async function postLease(c: Context, store: Store): Promise<Response> {
  const timeline = store.tenants.timeline(tenantOf(c), timelineOf(c));
  const { lsn } = await readBody(c, leaseBody);
  const until = store.leases.take(timeline, lsn);
  if (until === undefined) return errorAnswer(c, 500, "invalid lsn lease request: the LSN is below the GC cutoff");
  return c.json({ valid_until: new Date(until).toISOString() });
}
