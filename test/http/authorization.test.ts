import { createHmac, generateKeyPairSync, type KeyObject } from "node:crypto";
import { CompactSign } from "jose";
import { beforeEach, describe, expect, test } from "vitest";
import { EXTERNAL_ROUTES } from "../../src/http/external_routes.ts";
import { createRouter } from "../../src/http/router.ts";
import { createAuthorize, type JsonWebKey } from "../../src/http/token.ts";
import { ComputeNode } from "../../src/node/compute_node.ts";
import { ComputeMetrics } from "../../src/telemetry/compute_metrics.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import { emptyStartupMetrics } from "../../src/telemetry/startup_metrics.ts";

const NOW = 1_800_000_000;

function keyPair(type: "ed25519" | "rsa" = "ed25519"): { privateKey: KeyObject; jwk: JsonWebKey } {
  const pair = type === "rsa" ? generateKeyPairSync("rsa", { modulusLength: 2048 }) : generateKeyPairSync("ed25519");
  return { privateKey: pair.privateKey, jwk: { ...pair.publicKey.export({ format: "jwk" }), kid: "k" } as JsonWebKey };
}

function sign(claims: object, key: KeyObject, algorithm = "EdDSA"): Promise<string> {
  return new CompactSign(new TextEncoder().encode(JSON.stringify(claims)))
    .setProtectedHeader({ alg: algorithm, typ: "JWT" })
    .sign(key);
}

let lines: string[];
beforeEach(() => {
  lines = [];
});

function server(keys: readonly JsonWebKey[], now = () => NOW) {
  const log = createLogger({ level: "debug", write: (line) => void lines.push(line) });
  const compute = new ComputeNode(log, new ComputeMetrics("latest"), emptyStartupMetrics());
  return createRouter({
    routes: EXTERNAL_ROUTES,
    compute,
    log,
    authorize: createAuthorize({ keys, computeId: "c1", log, now }),
  });
}

async function status(app: ReturnType<typeof server>, token?: string) {
  const response = await app.request(
    "/status",
    token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } },
  );
  const body = (await response.json()) as { error?: string | null; status?: string };
  return { code: response.status, error: body.error, headers: response.headers };
}

const K = keyPair();

test("http-api.md case 1: no token is 400, with a request id", async () => {
  const answer = await status(server([K.jwk]));
  expect([answer.code, answer.error]).toEqual([400, "invalid authorization token"]);
  expect(answer.headers.get("x-request-id")).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4/);
});

test.each([
  ["http-api.md case 2: no compute_id", {}, 403, "missing compute_id in authorization token claims"],
  ["http-api.md case 3: our compute_id", { compute_id: "c1" }, 200, null],
  ["http-api.md case 3: nulls are absent", { compute_id: "c1", scope: null, aud: null }, 200, null],
  [
    "http-api.md case 3: another compute_id",
    { compute_id: "c2" },
    403,
    "invalid compute ID in authorization token claims",
  ],
  ["http-api.md case 4: admin", { scope: "compute_ctl:admin", aud: ["compute"] }, 200, null],
  [
    "http-api.md case 4: admin without audience",
    { scope: "compute_ctl:admin" },
    401,
    "missing audience in authorization token claims",
  ],
  [
    "http-api.md case 4: admin for others",
    { scope: "compute_ctl:admin", aud: ["other"] },
    401,
    "invalid audience in authorization token claims",
  ],
  [
    "http-api.md case 4: audience as text",
    { scope: "compute_ctl:admin", aud: "compute" },
    401,
    "failed to verify authorization token",
  ],
  ["http-api.md case 6: expired within the leeway", { compute_id: "c1", exp: NOW - 59 }, 200, null],
  ["http-api.md case 6: expired", { compute_id: "c1", exp: NOW - 120 }, 401, "failed to verify authorization token"],
  [
    "http-api.md case 7: another scope",
    { scope: "something_else", compute_id: "c1" },
    401,
    "failed to verify authorization token",
  ],
  ["nbf and iat are not looked at", { compute_id: "c1", nbf: NOW + 9999, iat: NOW + 9999 }, 200, null],
  ["an expiry that is no number", { compute_id: "c1", exp: "soon" }, 401, "failed to verify authorization token"],
])("%s", async (_name, claims, code, error) => {
  const answer = await status(server([K.jwk]), await sign(claims, K.privateKey));
  expect([answer.code, answer.error]).toEqual([code, error]);
});

test("http-api.md case 5: foreign keys, HS256 with the public key and alg none do not verify", async () => {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const body = part({ compute_id: "c1" });
  const hs256 = `${part({ alg: "HS256" })}.${body}`;
  const secret = Buffer.from(K.jwk.x as string, "base64url");
  for (const token of [
    await sign({ compute_id: "c1" }, keyPair().privateKey),
    `${hs256}.${createHmac("sha256", secret).update(hs256).digest("base64url")}`,
    `${part({ alg: "none" })}.${body}.`,
    "a.b.c",
    "x".repeat(10_000),
  ]) {
    const answer = await status(server([K.jwk]), token);
    expect([answer.code, answer.error]).toEqual([401, "failed to verify authorization token"]);
  }
});

describe("http-api.md case 8", () => {
  test("no keys: 401, but metrics are open", async () => {
    const app = server([]);
    expect((await status(app, await sign({ compute_id: "c1" }, K.privateKey))).code).toBe(401);
    expect((await app.request("/metrics")).status).toBe(200);
  });

  test("a broken key is skipped with a warning", async () => {
    const app = server([{ kty: "OKP", crv: "Ed25519", x: "MTE=", kid: "broken" }, { kty: "weird" }, K.jwk]);
    expect((await status(app, await sign({ compute_id: "c1" }, K.privateKey))).code).toBe(200);
    expect(lines.join("")).toMatch(/WARN .*kid=broken/);
  });
});

test("one RS256 key switches to RS256 alone", async () => {
  const rsa = keyPair("rsa");
  const app = server([K.jwk, { ...rsa.jwk, alg: "RS256" }]);
  expect((await status(app, await sign({ compute_id: "c1" }, rsa.privateKey, "RS256"))).code).toBe(200);
  expect((await status(app, await sign({ compute_id: "c1" }, K.privateKey))).code).toBe(401);
});

test("http-api.md case 9: a request id is kept, shown in both lines, also for 401 and 404", async () => {
  const app = server([K.jwk]);
  for (const [path, header] of [
    ["/status", "Bearer x"],
    ["/nope", "Bearer x"],
  ] as const) {
    lines = [];
    const response = await app.request(path, { headers: { authorization: header, "x-request-id": "abc-1" } });
    expect(response.headers.get("x-request-id")).toBe("abc-1");
    expect(lines.filter((line) => line.includes("request_id=abc-1"))).toHaveLength(2);
  }
});

test("http-api.md case 10: unknown paths are 404, other methods 405 with Allow, both without a token", async () => {
  const app = server([K.jwk]);
  const missing = await app.request("/nope");
  expect([missing.status, await missing.text()]).toEqual([404, ""]);
  const deleted = await app.request("/status", { method: "DELETE" });
  expect([deleted.status, await deleted.text(), deleted.headers.get("allow")]).toEqual([405, "", "GET,HEAD"]);
  expect((await app.request("/status/")).status).toBe(404);
  expect((await app.request("/metrics")).status).toBe(200);
});

test("HEAD needs the token that GET needs and has no body", async () => {
  const app = server([K.jwk]);
  expect((await app.request("/status", { method: "HEAD" })).status).toBe(400);
  const token = await sign({ compute_id: "c1" }, K.privateKey);
  const head = await app.request("/status", { method: "HEAD", headers: { authorization: `bearer   ${token}` } });
  expect([head.status, await head.text()]).toEqual([200, ""]);
});

test("tokens never reach the log", async () => {
  const token = await sign({ compute_id: "c2" }, K.privateKey);
  await status(server([K.jwk]), token);
  expect(lines.join("")).not.toContain(token.slice(0, 30));
});

test("http-api.md case 16: bad bodies have their statuses and leave the state alone", async () => {
  const app = server([K.jwk]);
  const token = await sign({ compute_id: "c1" }, K.privateKey);
  const post = async (body: string, type = "application/json") => {
    const response = await app.request("/configure", {
      method: "POST",
      body,
      headers: { authorization: `Bearer ${token}`, "content-type": type },
    });
    return { code: response.status, error: ((await response.json()) as { error: string }).error };
  };
  expect(await post("{}", "text/plain")).toEqual({
    code: 415,
    error: "expected request with `content-type: application/json`",
  });
  expect((await post("{")).code).toBe(400);
  const shape = await post("{}");
  expect([shape.code, shape.error]).toEqual([422, expect.stringContaining("spec")]);
  const cluster = { roles: [], databases: [] };
  const spec = {
    format_version: 1,
    suspend_timeout_seconds: -1,
    cluster,
    tenant_id: "1".repeat(32),
    timeline_id: "2".repeat(32),
    pageserver_connstring: "postgresql://ps:1",
    safekeeper_connstrings: ["a:1", "a:1"],
  };
  expect((await post(JSON.stringify({ spec }))).code).toBe(422);
  const config = { jwks: { keys: [] } };
  expect((await post(JSON.stringify({ spec: null, compute_ctl_config: config }))).code).toBe(422);
  expect(await post(JSON.stringify({ spec, compute_ctl_config: config }))).toEqual({
    code: 400,
    error: expect.stringContaining("duplicate entry in safekeeper_connstrings: a:1!"),
  });
  expect((await status(app, token)).code).toBe(200);
});

test("/terminate without a known mode is 400", async () => {
  const app = server([K.jwk]);
  const headers = { authorization: `Bearer ${await sign({ compute_id: "c1" }, K.privateKey)}` };
  for (const query of ["?mode=slow", "?x=1", "?"])
    expect((await app.request(`/terminate${query}`, { method: "POST", headers })).status).toBe(400);
});

test("a token that was good is refused once it has expired, however often it was used", async () => {
  let now = NOW;
  const app = server([K.jwk], () => now);
  const token = await sign({ compute_id: "c1", exp: NOW }, K.privateKey);
  for (let times = 0; times < 3; times++) expect((await status(app, token)).code).toBe(200);
  now += 61;
  expect((await status(app, token)).code).toBe(401);
});
