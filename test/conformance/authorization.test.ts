import { createHmac, createPublicKey } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Compute, tokenMaker } from "../support/compute_ctl.ts";

const ADMIN = "compute_ctl:admin";
const now = (): number => Math.floor(Date.now() / 1000);
const FAILED = "failed to verify authorization token";

let compute: Compute;
beforeAll(async () => {
  compute = await Compute.start({ config: {} });
  await compute.reach("empty");
});
afterAll(async () => await compute?.[Symbol.asyncDispose]());

async function ask(authorization?: string): Promise<{ status: number; error: string | null; id: string | null }> {
  const response = await fetch(`http://127.0.0.1:${compute.externalPort}/status`, {
    headers: authorization === undefined ? {} : { authorization },
  });
  const { error } = (await response.json()) as { error: string | null };
  return { status: response.status, error, id: response.headers.get("x-request-id") };
}

test("neon-local.md case 59, http-api.md case 1: no token is 400, with a request id", async () => {
  for (const header of [undefined, "", "Basic abc", "Bearer", "Bearer "])
    expect(await ask(header)).toEqual({
      status: 400,
      error: "invalid authorization token",
      id: expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
    });
});

describe("claims", () => {
  test.each<[string, object, number, string | null]>([
    ["http-api.md case 2: none", {}, 403, "missing compute_id in authorization token claims"],
    ["http-api.md case 3: this compute", { compute_id: "c1" }, 200, null],
    [
      "neon-local.md case 59, http-api.md case 3: this compute, the rest null",
      { compute_id: "c1", scope: null, aud: null },
      200,
      null,
    ],
    [
      "neon-local.md case 59, http-api.md case 3: another",
      { compute_id: "c2" },
      403,
      "invalid compute ID in authorization token claims",
    ],
    ["http-api.md case 4: an admin", { scope: ADMIN, aud: ["compute"] }, 200, null],
    [
      "neon-local.md case 59, http-api.md case 4: no audience",
      { scope: ADMIN },
      401,
      "missing audience in authorization token claims",
    ],
    [
      "http-api.md case 4: another audience",
      { scope: ADMIN, aud: ["other"] },
      401,
      "invalid audience in authorization token claims",
    ],
    ["http-api.md case 4: an audience that is no list", { scope: ADMIN, aud: "compute" }, 401, FAILED],
    ["http-api.md case 6: expired 30 s ago", { compute_id: "c1", exp: now() - 30 }, 200, null],
    ["http-api.md case 6: expired 120 s ago", { compute_id: "c1", exp: now() - 120 }, 401, FAILED],
    ["http-api.md case 7: a scope that does not exist", { compute_id: "c1", scope: "something_else" }, 401, FAILED],
  ])("%s", async (_name, claims, status, error) => {
    expect(await ask(`Bearer ${await compute.sign(claims)}`)).toMatchObject({ status, error });
  });
});

test("neon-local.md case 59, http-api.md case 5: signatures that prove nothing are 401", async () => {
  const foreign = await tokenMaker().sign({ compute_id: "c1" });
  const [, payload = ""] = foreign.split(".");
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const unsigned = `${part({ alg: "none", typ: "JWT" })}.${payload}.`;
  const own = await compute.sign({ compute_id: "c1" });
  const head = `${part({ alg: "HS256", typ: "JWT" })}.${payload}`;
  const keys = compute.publicKeys.flatMap(({ x = "", ...jwk }) => [
    Buffer.from(x, "base64url"),
    createPublicKey({ key: { ...jwk, x }, format: "jwk" }).export({ type: "spki", format: "pem" }),
  ]);
  const confused = keys.map((key) => `${head}.${createHmac("sha256", key).update(head).digest("base64url")}`);
  expect(confused).toHaveLength(2);
  for (const token of [foreign, unsigned, ...confused, `${own}x`, own.slice(0, -8), "abc", "a.b.c"])
    expect(await ask(`Bearer ${token}`)).toMatchObject({ status: 401, error: FAILED });
  expect(await ask(`bearer ${own}`)).toMatchObject({ status: 200 });
});

test("http-api.md case 8: no keys: everything is 401 but /metrics; a broken key beside a good one harms nothing", async () => {
  await using closed = await Compute.start({ config: { compute_ctl_config: { jwks: { keys: [] } } } });
  await closed.says("internal HTTP server listening");
  expect((await closed.request("/status")).status).toBe(401);
  expect((await closed.request("/metrics")).status).toBe(200);
  const good = tokenMaker();
  const keys = [{ kty: "OKP", crv: "Ed25519", x: "!", alg: "EdDSA" }, ...good.jwks.keys];
  await using mixed = await Compute.start({ config: { compute_ctl_config: { jwks: { keys } } } });
  await mixed.says("internal HTTP server listening");
  const authorization = `Bearer ${await good.sign({ compute_id: "c1" })}`;
  expect((await mixed.request("/status", { headers: { authorization } })).status).toBe(200);
});
