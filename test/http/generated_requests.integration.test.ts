import fc from "fast-check";
import type { Hono } from "hono";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EXTERNAL_ROUTES } from "../../src/http/external_routes.ts";
import { INTERNAL_ROUTES } from "../../src/http/internal_routes.ts";
import type { RequestVariables } from "../../src/http/route.ts";
import { createRouter } from "../../src/http/router.ts";
import { ComputeNode } from "../../src/node/compute_node.ts";
import { LocalFileCache } from "../../src/node/local_file_cache.ts";
import type { Trigger } from "../../src/node/state_table.ts";
import { parseConnstr } from "../../src/postgres/connstr.ts";
import { adminConnect } from "../../src/reconcile/admin_session.ts";
import { ComputeMetrics } from "../../src/telemetry/compute_metrics.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import { emptyStartupMetrics } from "../../src/telemetry/startup_metrics.ts";
import { violations } from "../spec/json_schema.ts";
import { startServer, type TestServer } from "../support/postgres.ts";
import { type Operation, readOperations, valuesOf } from "./openapi_document.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(async () => await server?.[Symbol.asyncDispose]());

/** Both applications over a real Postgres, in one state; what a reconfiguration does is left out. */
function computeIn(triggers: readonly Trigger[]) {
  const log = createLogger({ level: "off", write: () => undefined });
  const metrics = new ComputeMetrics("latest");
  const node = new ComputeNode(log, metrics, emptyStartupMetrics());
  const connect = adminConnect({ connstr: server.connstr });
  const end = new AbortController();
  node.attach({
    postgres: {
      connect,
      target: parseConnstr(server.connstr),
      installation: server.installation,
      pgdata: server.pgdata,
      env: process.env,
      privilegedRoleName: "neon_superuser",
      sessionBegan: () => () => undefined,
    },
    localFileCache: new LocalFileCache({
      kind: "stock",
      spec: () => node.spec,
      connect,
      database: "postgres",
      metrics,
      log,
      signal: end.signal,
    }),
    actions: {
      requestStop: () => node.finishTermination(null),
      prepare: () => Promise.resolve(() => Promise.resolve()),
      fetchConfig: () => new Promise(() => undefined),
      abandon: () => undefined,
      promote: () => Promise.reject(new Error("not here")),
      downloadExtension: async (file) => {
        const { provideExtension } = await import("../../src/extensions/provide_extension.ts");
        await provideExtension(undefined, null, file);
      },
      commitsBlocked: () => null,
    },
  });
  // What an empty compute is told it also becomes: nobody starts it here.
  node.state.onChange(({ to }) => {
    if (to !== "first_configuration_pending") return;
    node.state.apply("start_begins");
    node.state.apply("start_done");
  });
  for (const trigger of triggers) node.state.apply(trigger);
  return {
    external: createRouter({ routes: EXTERNAL_ROUTES, compute: node, log }),
    internal: createRouter({ routes: INTERNAL_ROUTES, compute: node, log }),
  };
}

/** A request for an operation: path, query and body made from the document. */
function requestsFor({ path, parameters, body }: Operation): fc.Arbitrary<{ url: string; body: string | undefined }> {
  const values = fc.tuple(...parameters.map(({ schema }) => fc.option(valuesOf(schema), { nil: undefined, freq: 8 })));
  const bodies = body === undefined ? fc.constant(undefined) : valuesOf(body);
  return fc.tuple(values, bodies).map(([given, value]) => {
    const query = new URLSearchParams();
    let url = path;
    for (const [index, { name, in: place }] of parameters.entries()) {
      const text = String(given[index] ?? "");
      if (place === "path") url = url.replace(`{${name}}`, encodeURIComponent(text) || "x");
      else if (given[index] !== undefined) query.set(name, text);
    }
    return {
      url: query.size === 0 ? url : `${url}?${query}`,
      body: value === undefined ? undefined : JSON.stringify(value),
    };
  });
}

async function ask(app: Hono<RequestVariables>, operation: Operation, url: string, body: string | undefined) {
  const response = await app.request(url, {
    method: operation.method,
    ...(body === undefined ? {} : { body, headers: { "content-type": "application/json" } }),
  });
  // An endless one.
  if (operation.path === "/events") {
    await response.body?.cancel();
    return { response, text: "" };
  }
  return { response, text: await response.text() };
}

describe.each([
  ["empty", []],
  ["init", ["spec_at_start"]],
  ["running", ["spec_at_start", "start_done"]],
  ["configuration", ["spec_at_start", "start_done", "configure", "reconfiguration_begins"]],
  ["failed", ["spec_at_start", "start_fails"]],
  ["refresh_configuration", ["spec_at_start", "start_done", "refresh", "refresh_begins"]],
  ["terminated", ["terminate_fast", "postgres_gone"]],
] satisfies [string, Trigger[]][])("requests made from our own document, in state %s", (_state, triggers) => {
  test.each(readOperations().map((operation) => [`${operation.method} ${operation.path}`, operation] as const))(
    "%s: a documented status, a body of its schema, no fault of ours",
    async (_name, operation) => {
      await fc.assert(
        fc.asyncProperty(requestsFor(operation), async ({ url, body }) => {
          // A compute of its own each time: some requests change its state.
          const apps = computeIn(triggers);
          const { response, text } = await ask(
            operation.internal ? apps.internal : apps.external,
            operation,
            url,
            body,
          );
          const documented = operation.responses[String(response.status)];
          expect(Object.keys(operation.responses), `${url} ${text}`).toContain(String(response.status));
          if (response.status >= 500) expect(text).not.toContain("internal error");
          const type = response.headers.get("content-type");
          if (type === null) expect(text).toBe("");
          else {
            expect(Object.keys(documented ?? {})).toContain(type);
            const schema = documented?.[type];
            if (schema !== undefined) expect(violations(schema, JSON.parse(text))).toEqual([]);
          }
        }),
        { numRuns: operation.body === undefined ? 10 : 40, interruptAfterTimeLimit: 20_000 },
      );
    },
  );
});
