import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type FetchConfigOptions, fetchConfig } from "../../src/spec/control_plane.ts";
import { configText, minimalSpec } from "./examples.ts";

interface Answer {
  readonly status: number;
  readonly body?: string;
}

const attached: Answer = { status: 200, body: configText(minimalSpec(), { status: "attached" }) };

let server: Server;
let base: string;
let answer: (request: number) => Answer | "hang" | "drop";
let requests: { at: number; method: string | undefined; url: string | undefined; authorization: string | undefined }[];

beforeEach(async () => {
  requests = [];
  const listener: RequestListener = (request, response) => {
    requests.push({
      at: performance.now(),
      method: request.method,
      url: request.url,
      authorization: request.headers.authorization,
    });
    const next = answer(requests.length);
    if (next === "drop") request.socket.destroy();
    else if (next !== "hang") response.writeHead(next.status).end(next.body);
  };
  server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

/** Asks the server above; tells what was logged, counted and waited for. */
function ask(changes: Partial<FetchConfigOptions> = {}) {
  const log: string[] = [];
  const counted: string[] = [];
  const waits: number[] = [];
  const result = fetchConfig({
    uri: base,
    computeId: "compute-1",
    token: "t",
    fetch,
    wait: async (milliseconds, signal) => {
      waits.push(milliseconds);
      await sleep(milliseconds, undefined, { signal });
    },
    log: { warn: (message) => log.push(`warn ${message}`), error: (message) => log.push(`error ${message}`) },
    countRequest: ({ httpStatus }) => counted.push(httpStatus),
    signal: new AbortController().signal,
    ...changes,
  });
  return { result, log, counted, waits };
}

const error = (why: string) =>
  `error cannot get response from control plane: ${why}\nneither a spec nor word that the compute is empty was received`;

describe("fetchConfig", () => {
  test("spec.md case 26: 503 twice and then 200: three requests, about 100 ms apart", async () => {
    answer = (request) => (request < 3 ? { status: 503, body: "later" } : attached);
    const { result, log, counted, waits } = ask();
    expect((await result).spec?.mode.kind).toBe("primary");
    expect(requests.map(({ method, url }) => `${method} ${url}`)).toEqual(
      Array(3).fill("GET /compute/api/v2/computes/compute-1/spec"),
    );
    expect(requests[2]!.at - requests[0]!.at).toBeGreaterThan(190);
    expect(waits).toEqual([100, 100]);
    expect(counted).toEqual(["503 Service Unavailable", "503 Service Unavailable", "200 OK"]);
    expect(log).toEqual([
      "warn attempt 1 to get config failed with: control plane answered 503 Service Unavailable",
      "warn attempt 2 to get config failed with: control plane answered 503 Service Unavailable",
    ]);
  });

  test.each([
    [404, "404 Not Found"],
    [401, "401 Unauthorized"],
    [500, "500 Internal Server Error"],
    [299, "299 <unknown status code>"],
  ])("spec.md case 27: %i is final", async (status, line) => {
    answer = () => ({ status });
    const { result, log, counted } = ask();
    await expect(result).rejects.toMatchObject({ code: "control_plane_status", exitCode: 1 });
    expect(requests).toHaveLength(1);
    expect(counted).toEqual([line]);
    expect(log).toEqual([error(`unexpected control plane response status code: ${line}`)]);
  });

  test("spec.md case 27: attached without a spec is final", async () => {
    answer = () => ({ status: 200, body: configText(null, { status: "attached" }) });
    const { result, log } = ask();
    await expect(result).rejects.toThrow("compute is attached, but spec is empty");
    expect(requests).toHaveLength(1);
    expect(log).toEqual([error("compute is attached, but spec is empty")]);
  });

  test("empty without a spec is an answer, empty with one is used", async () => {
    answer = () => ({ status: 200, body: configText(null, { status: "empty" }) });
    expect(await ask().result).toEqual({ spec: null, compute_ctl_config: { jwks: { keys: [] }, tls: null } });
    answer = () => ({ status: 200, body: configText(minimalSpec(), { status: "empty" }) });
    expect((await ask().result).spec).not.toBeNull();
  });

  test("spec.md case 29: the token is sent, an empty one too", async () => {
    answer = () => attached;
    await ask({ token: "t" }).result;
    await ask({ token: undefined }).result;
    expect(requests.map(({ authorization }) => authorization)).toEqual(["Bearer t", "Bearer"]);
  });

  test("a token that fits no header is refused without quoting it", async () => {
    answer = () => attached;
    const { result, log, counted } = ask({ token: "hunter\n2" });
    await expect(result).rejects.toMatchObject({ code: "control_plane_token" });
    expect(log.join()).not.toContain("hunter");
    expect(counted).toEqual([]);
    expect(requests).toEqual([]);
  });

  test("the base is used as it is", async () => {
    answer = () => attached;
    await ask({ uri: `${base}/a/` }).result;
    expect(requests[0]?.url).toBe("/a//compute/api/v2/computes/compute-1/spec");
  });

  test("bodies that do not decode, lost connections and 502 are tried again, three times in all", async () => {
    answer = (request) => (["drop", { status: 200, body: "{" }, { status: 502 }] as const)[request - 1] ?? "hang";
    const { result, log, counted } = ask();
    await expect(result).rejects.toMatchObject({
      code: "control_plane_exhausted",
      message: "Exhausted all attempts to retrieve the config from the control plane",
    });
    expect(requests).toHaveLength(3);
    expect(counted).toEqual(["unknown", "200 OK", "502 Bad Gateway"]);
    expect(log).toHaveLength(4);
    expect(log[1]).toContain("attempt 2 to get config failed with: unexpected end of JSON at line 1 column 2");
    expect(log[2]).toContain("attempt 3 to get config failed with: control plane answered 502 Bad Gateway");
    expect(log[3]).toMatch(/^error cannot get response from control plane: Exhausted all attempts .*\n.*$/);
  });

  test("a request that takes too long counts as failed", async () => {
    answer = (request) => (request === 1 ? "hang" : attached);
    const { result, counted } = ask({ requestTimeoutMs: 50 });
    await result;
    expect(counted).toEqual(["unknown", "200 OK"]);
  });

  test("nothing listens: three attempts", async () => {
    const { result, counted } = ask({ uri: "http://127.0.0.1:1", wait: async () => {} });
    await expect(result).rejects.toMatchObject({ code: "control_plane_exhausted" });
    expect(counted).toEqual(["unknown", "unknown", "unknown"]);
  });

  test("stops at once when it is aborted, and logs nothing about it", async () => {
    const abort = new AbortController();
    answer = () => {
      abort.abort(new Error("enough"));
      return "hang";
    };
    const { result, log } = ask({ signal: abort.signal });
    await expect(result).rejects.toThrow("enough");
    expect(requests).toHaveLength(1);
    expect(log).toEqual([]);
  });
});
