import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { connect } from "node:net";
import { describe, expect, test } from "vitest";
import { Compute, runToEnd } from "../support/compute_ctl.ts";

const REQUIRED = ["-D", "/nonexistent/pgdata", "-C", "postgresql://cloud_admin@127.0.0.1:5/postgres", "-i", "c1"];

const SPEC = {
  format_version: 1,
  suspend_timeout_seconds: -1,
  cluster: { roles: [], databases: [] },
  tenant_id: "1".repeat(32),
  timeline_id: "2".repeat(32),
  pageserver_connstring: "postgresql://127.0.0.1:1",
  safekeeper_connstrings: ["127.0.0.1:1"],
};

/** A control plane that answers in turn, and remembers who asked. */
async function controlPlane(...answers: { status: number; body?: object }[]) {
  const requests: { url: string | undefined; authorization: string | undefined; at: number }[] = [];
  const listener: RequestListener = (request: IncomingMessage, response) => {
    requests.push({ url: request.url, authorization: request.headers.authorization, at: performance.now() });
    const answer = answers[Math.min(requests.length, answers.length) - 1];
    response.writeHead(answer?.status ?? 500, { "content-type": "application/json" });
    response.end(JSON.stringify(answer?.body ?? {}));
  };
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return { requests, uri: `http://127.0.0.1:${port}`, [Symbol.dispose]: () => server.close() };
}

async function listens(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

describe("bad command lines end before anything is done", () => {
  test.each([
    ["lifecycle.md case 1: nothing given", []],
    ["lifecycle.md case 2: both sources", [...REQUIRED, "-c", "x", "-p", "http://y"]],
    ["lifecycle.md case 2: no source", REQUIRED],
    [
      "lifecycle.md case 3: a bad privileged role name",
      [...REQUIRED, "-c", "x", "--privileged-role-name", "NeonSuperuser"],
    ],
    ["lifecycle.md case 4: parameters in the extension URL", [...REQUIRED, "-c", "x", "-r", "https://e?h=w"]],
    [
      "lifecycle.md case 6: three ports",
      [...REQUIRED, "-c", "x", "--http-port", "4000", "--external-http-port", "4001"],
    ],
    ["an unknown flag", [...REQUIRED, "-c", "x", "--no-such-flag"]],
  ])("%s: exit 2, a sentence on stderr", async (_name, argv) => {
    const { code, stderr, stdout } = await runToEnd(argv);
    expect(code).toBe(2);
    expect(stderr).toMatch(/error/i);
    expect(stdout).toBe("");
  });

  test("--help is exit 0", async () => {
    expect((await runToEnd(["--help"])).code).toBe(0);
  });

  test("a connection string that is no URL is exit 1", async () => {
    const { code, stderr } = await runToEnd([
      "-D",
      "/d",
      "-C",
      "host=localhost password=geheim",
      "-i",
      "c",
      "-c",
      "/nonexistent",
    ]);
    expect(code).toBe(1);
    expect(stderr).toContain("cannot parse connstr as a URL");
    expect(stderr).not.toContain("geheim");
  });
});

describe("bad configs end before any port is open", () => {
  test.each([
    ["JSON syntax", "{"],
    ["no compute_ctl_config", { compute_ctl_config: undefined, spec: SPEC }],
    ["a missing field", { spec: { ...SPEC, format_version: undefined } }],
    ["an unresolvable spec", { spec: { ...SPEC, tenant_id: null } }],
    [
      "lifecycle.md case 9: a repeated safekeeper",
      { spec: { ...SPEC, safekeeper_connstrings: ["a:1", "b:1", "a:1"] } },
    ],
  ])("spec.md case 25, lifecycle.md case 8: %s is exit 1", async (name, config) => {
    await using compute = await Compute.start({ config });
    let opened = false;
    let ended = false;
    const end = compute.exited.then((result) => {
      ended = true;
      return result;
    });
    while (!ended) {
      opened ||= (await listens(compute.externalPort)) || (await listens(compute.internalPort));
      await new Promise((done) => setTimeout(done, 5));
    }
    expect(await end).toEqual({ code: 1, signal: null });
    expect(opened).toBe(false);
    if (name.includes("safekeeper"))
      expect(compute.output).toContain("duplicate entry in safekeeper_connstrings: a:1!");
  });

  test("lifecycle.md case 8: a missing file is exit 1 and named", async () => {
    const { code, stderr } = await runToEnd([...REQUIRED, "-c", "/nonexistent/config.json"]);
    expect(code).toBe(1);
    expect(stderr).toContain("/nonexistent/config.json");
  });
});

describe("the control plane", () => {
  const config = { compute_ctl_config: { jwks: { keys: [] } } };

  test("lifecycle.md case 11, metrics-and-logs.md case 7: 503 three times is exit 1 after three requests, logged one by one", async () => {
    using plane = await controlPlane({ status: 503 });
    await using compute = await Compute.start({
      config: null,
      flags: ["-p", plane.uri],
      env: { NEON_CONTROL_PLANE_TOKEN: "t" },
    });
    expect((await compute.exited).code).toBe(1);
    expect(plane.requests.map(({ url, authorization }) => [url, authorization])).toEqual(
      Array(3).fill(["/compute/api/v2/computes/c1/spec", "Bearer t"]),
    );
    for (const attempt of [1, 2, 3]) expect(compute.output).toContain(`attempt ${attempt} to get config failed with: `);
  });

  test("lifecycle.md case 11, spec.md case 27: 404 is exit 1 after one request", async () => {
    using plane = await controlPlane({ status: 404 });
    await using compute = await Compute.start({ config: null, flags: ["-p", plane.uri] });
    expect((await compute.exited).code).toBe(1);
    expect(plane.requests).toHaveLength(1);
    expect(compute.output).toContain("unexpected control plane response status code: 404 Not Found");
  });

  test("lifecycle.md case 13: attached without a spec is exit 1 after one request", async () => {
    using plane = await controlPlane({ status: 200, body: { status: "attached", spec: null, ...config } });
    await using compute = await Compute.start({ config: null, flags: ["-p", plane.uri] });
    expect((await compute.exited).code).toBe(1);
    expect(plane.requests).toHaveLength(1);
    expect(compute.output).toContain("compute is attached, but spec is empty");
  });

  test("lifecycle.md case 10, spec.md case 26: 503 twice and then a spec goes on, three requests about 100 ms apart", async () => {
    using plane = await controlPlane(
      { status: 503 },
      { status: 503 },
      { status: 200, body: { status: "attached", spec: SPEC, ...config } },
    );
    await using compute = await Compute.start({ config: null, flags: ["-p", plane.uri] });
    while (!(await listens(compute.externalPort))) await new Promise((done) => setTimeout(done, 5));
    expect(plane.requests).toHaveLength(3);
    const [first, second, third] = plane.requests.map(({ at }) => at) as [number, number, number];
    for (const gap of [second - first, third - second]) expect(gap).toBeGreaterThan(90);
    const metrics = await (await fetch(`http://127.0.0.1:${compute.externalPort}/metrics`)).text();
    // metrics-and-logs.md case 6
    expect(metrics).toContain(
      'compute_ctl_cplane_requests_total{http_status="503 Service Unavailable",rpc="GetConfig"} 2',
    );
    expect(metrics).toContain('compute_ctl_cplane_requests_total{http_status="200 OK",rpc="GetConfig"} 1');
  });
});

describe("an empty compute", () => {
  test("lifecycle.md case 12, spec.md case 28: it serves both ports and says so", async () => {
    using plane = await controlPlane({
      status: 200,
      body: { status: "empty", spec: null, compute_ctl_config: { jwks: { keys: [] } } },
    });
    await using compute = await Compute.start({ config: null, flags: ["-p", plane.uri] });
    while (!(await listens(compute.internalPort))) await new Promise((done) => setTimeout(done, 5));
    const metrics = await (await fetch(`http://127.0.0.1:${compute.externalPort}/metrics`)).text();
    expect(metrics).toContain('compute_ctl_up{build_tag="latest",status="empty"} 1');
  });

  test("http-api.md case 12: both ports answer on IPv4 and IPv6 loopback", async () => {
    await using compute = await Compute.start({ config: {} });
    await compute.reach("empty");
    for (const host of ["127.0.0.1", "[::1]"]) {
      expect((await fetch(`http://${host}:${compute.externalPort}/metrics`)).status).toBe(200);
      expect((await fetch(`http://${host}:${compute.internalPort}/status`)).status).toBe(404);
    }
  });

  test("lifecycle.md case 55, http-api.md case 23: /terminate answers null and the process ends with 0", async () => {
    await using compute = await Compute.start({ config: {} });
    await compute.reach("empty");
    const answer = await compute.request("/terminate", { method: "POST", admin: true });
    expect([answer.status, await answer.json()]).toEqual([200, { lsn: null }]);
    expect(await compute.exited).toEqual({ code: 0, signal: null });
  });

  test("a signal ends it with 1", async () => {
    await using compute = await Compute.start({ config: {} });
    await compute.reach("empty");
    expect(await compute.stop("SIGINT")).toEqual({ code: 1, signal: null });
  });

  test("http-api.md case 13: a port that is taken is a failure that names it", async () => {
    const server = createServer().listen(0, "::");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    await using compute = await Compute.start({ config: {}, flags: ["--external-http-port", String(port)] });
    expect((await compute.exited).code).toBe(1);
    expect(compute.output).toContain(String(port));
    server.close();
  });
});
