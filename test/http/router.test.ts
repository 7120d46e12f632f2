import { describe, expect, test } from "vitest";
import { CodedError } from "../../src/errors/coded_error.ts";
import type { ComputeApi } from "../../src/http/compute_api.ts";
import type { Route } from "../../src/http/route.ts";
import { createRouter } from "../../src/http/router.ts";
import { collectingLog } from "../support/collecting_log.ts";

const COMMON = { summary: "", authorized: false, responses: {} } as const;
const ROUTES: readonly Route[] = [
  { ...COMMON, method: "GET", path: "/good", handle: (context) => context.json({ good: true }) },
  {
    ...COMMON,
    method: "GET",
    path: "/fault",
    handle: () => {
      throw new TypeError("undefined is not a function");
    },
  },
  {
    ...COMMON,
    method: "POST",
    path: "/good",
    handle: () => Promise.reject(new CodedError("teapot", "short and stout", { status: 418, cause: new Error("tea") })),
  },
  {
    ...COMMON,
    method: "GET",
    path: "/unready",
    quiet: true,
    unavailableIsAnswer: true,
    handle: (context) => context.body(null, 503),
  },
  { ...COMMON, method: "GET", path: "/probe", quiet: true, handle: (context) => context.body(null, 200) },
];

function router() {
  const { log, lines } = collectingLog();
  return { app: createRouter({ routes: ROUTES, compute: {} as ComputeApi, log }), lines };
}

test("http-api.md case 43: a handler that fails unexpectedly is 500 with JSON, and the others go on", async () => {
  const { app, lines } = router();
  const response = await app.request("/fault");
  expect([response.status, response.headers.get("content-type")]).toEqual([500, "application/json"]);
  expect(await response.json()).toEqual({ error: "internal error: undefined is not a function" });
  expect((await app.request("/good")).status).toBe(200);
  expect(lines.join("\n")).toMatch(/ERROR .*undefined is not a function/);
  expect(lines.join("\n")).toMatch(/ERROR .*response failed classification=Status code: 500/);
});

test("a readiness probe that is told no is nobody's failure", async () => {
  const { app, lines } = router();
  expect((await app.request("/unready")).status).toBe(503);
  expect(lines.join("\n")).not.toContain("ERROR");
});

test("an error of ours has its own status, and its causes in the message", async () => {
  const { app, lines } = router();
  const response = await app.request("/good", { method: "POST" });
  expect([response.status, await response.json()]).toEqual([418, { error: "short and stout: tea" }]);
  expect(lines.join("\n")).toMatch(/ERROR .*short and stout: tea/);
});

describe("paths and methods", () => {
  test("other methods of a known path are 405 with those that exist, GET also as HEAD", async () => {
    const { app } = router();
    const wrong = await app.request("/good", { method: "DELETE" });
    expect([wrong.status, wrong.headers.get("allow"), await wrong.text()]).toEqual([405, "GET,HEAD,POST", ""]);
    const head = await app.request("/good", { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
  });

  test("unknown paths are 404 without a body; a slash at the end is another path", async () => {
    const { app } = router();
    for (const path of ["/", "/nope", "/good/", "//good"]) {
      const response = await app.request(path);
      expect([response.status, await response.text()]).toEqual([404, ""]);
    }
  });
});

test("a request id that cannot be printed is replaced", async () => {
  const { app } = router();
  const id = async (sent: string): Promise<string | null> =>
    (await app.request("/good", { headers: { "x-request-id": sent } })).headers.get("x-request-id");
  expect(await id("abc-1")).toBe("abc-1");
  for (const sent of ["ä", "a b", "x".repeat(1_000)]) expect(await id(sent)).toMatch(/^[0-9a-f-]{36}$/);
});

test("scrapes and probes are not logged at info", async () => {
  const { app, lines } = router();
  await app.request("/probe");
  expect(lines).toEqual([]);
  await app.request("/good?x=1", { headers: { "x-request-id": "r" } });
  expect(lines).toEqual([
    " INFO request{method=GET uri=/good version=HTTP/1.1}: GET /good?x=1 request_id=r",
    expect.stringMatching(/^ INFO request\{.*\}: request_id=r code=200 latency=\d+$/),
  ]);
});
