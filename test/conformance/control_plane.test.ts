import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { Compute, tokenMaker } from "../support/compute_ctl.ts";
import { specAt } from "../support/compute_on.ts";
import { answerOf, postInternal } from "../support/internal_request.ts";
import { installation } from "../support/postgres.ts";
import { startLibpqServer } from "../support/scripted_libpq_server.ts";
import { type Storage, useStore } from "../support/store.ts";

const store = useStore();

/** A control plane whose answer a test changes while the compute runs. */
async function controlPlane() {
  const { jwks, sign } = tokenMaker();
  const plane = {
    status: 200,
    spec: null as unknown,
    requests: 0,
    uri: "",
    token: await sign({ compute_id: "c1" }),
    [Symbol.dispose]: () => {
      server.close();
      server.closeAllConnections();
    },
  };
  const server = createServer((_request, response) => {
    plane.requests++;
    response.writeHead(plane.status, { "content-type": "application/json" });
    const status = plane.spec === null ? "empty" : "attached";
    response.end(JSON.stringify({ status, spec: plane.spec, compute_ctl_config: { jwks } }));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  plane.uri = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return plane;
}

type Plane = Awaited<ReturnType<typeof controlPlane>>;

function startUnder(plane: Plane): Promise<Compute> {
  return Compute.start({ config: null, flags: ["-p", plane.uri], pgbin: installation(17).postgres });
}

/** Requests with a token of the control plane's key. */
async function ask(compute: Compute, plane: Plane, path: string, init: RequestInit = {}): Promise<Response> {
  const headers = { authorization: `Bearer ${plane.token}`, "content-type": "application/json" };
  return await fetch(`http://127.0.0.1:${compute.externalPort}${path}`, { ...init, headers });
}

async function statusBecomes(compute: Compute, plane: Plane, wanted: string): Promise<void> {
  await expect
    .poll(
      async () => {
        const response = await ask(compute, plane, "/status").catch(() => undefined);
        return response === undefined ? undefined : ((await response.json()) as { status: string }).status;
      },
      { timeout: 30_000 },
    )
    .toBe(wanted);
}

test("lifecycle.md case 12, lifecycle.md case 15, lifecycle.md case 48, lifecycle.md case 50: empty, then a /configure, a refresh that finds the same, one that finds another pageserver, and one that finds none", async () => {
  using plane = await controlPlane();
  const storage = await store().timeline();
  await using compute = await startUnder(plane);
  await statusBecomes(compute, plane, "empty");
  const spec = specAt(compute, storage);
  const body = JSON.stringify({ spec, compute_ctl_config: { jwks: { keys: [] } } });
  const configured = await answerOf(await ask(compute, plane, "/configure", { method: "POST", body }));
  expect(configured).toEqual([200, expect.objectContaining({ status: "running", error: null })]);

  plane.spec = spec;
  const before = plane.requests;
  expect(await answerOf(await postInternal(compute, "/refresh_configuration"))).toEqual([200, null]);
  await compute.says("Retrieved spec is the same as the current spec");
  await statusBecomes(compute, plane, "running");
  expect(plane.requests).toBe(before + 1);

  const url = `${storage.pageserver.libpq_url}?application_name=moved`;
  plane.spec = specAt(compute, { ...storage, pageserver: { libpq_url: url } });
  await postInternal(compute, "/refresh_configuration");
  await expect.poll(() => compute.query("SHOW neon.pageserver_connstring"), { timeout: 20_000 }).toBe(url);

  // The setting is live before the refresh is over, and while one is under way another is refused.
  await statusBecomes(compute, plane, "running");
  const pid = await compute.postmasterPid();
  plane.spec = null;
  expect(await answerOf(await postInternal(compute, "/refresh_configuration"))).toEqual([200, null]);
  expect((await compute.exited).code).toBe(1);
  expect(() => process.kill(pid, 0)).toThrow();
});

test("lifecycle.md case 18, http-api.md case 40: a refresh while the first start runs is answered and forgotten", async () => {
  await using silent = await startLibpqServer({ answer: () => undefined });
  const storage: Storage = {
    ...(await store().timeline()),
    pageserver: { libpq_url: `postgresql://no_user@127.0.0.1:${silent.port}` },
  };
  await using compute = await Compute.start({
    config: (place) => ({ spec: specAt(place, storage) }),
    pgbin: installation(17).postgres,
  });
  await compute.reach("init");
  expect(await answerOf(await postInternal(compute, "/refresh_configuration"))).toEqual([200, null]);
  const refused = [412, { error: "invalid compute status: init" }];
  expect(await answerOf(await compute.configure(specAt(compute, storage)))).toEqual(refused);
  expect(await answerOf(await compute.request("/terminate", { method: "POST" }))).toEqual(refused);
  expect((await compute.status()).status).toBe("init");
  expect(await compute.stop()).toEqual({ code: 1, signal: null });
});

test("lifecycle.md case 66, http-api.md case 46: after a failed start nothing is taken, and a refresh does not hide it", async () => {
  const storage: Storage = { ...(await store().timeline()), pageserver: { libpq_url: "postgresql://127.0.0.1:1" } };
  await using compute = await Compute.start({
    config: (place) => ({ spec: specAt(place, storage) }),
    pgbin: installation(17).postgres,
    env: { NEON_COMPUTE_TESTING_BASEBACKUP_RETRIES: "0" },
  });
  await compute.failure();
  const refused = [412, { error: "invalid compute status: failed" }];
  expect(await answerOf(await compute.configure(specAt(compute, storage)))).toEqual(refused);
  expect(await answerOf(await compute.request("/terminate", { method: "POST" }))).toEqual(refused);
  expect(await answerOf(await postInternal(compute, "/refresh_configuration"))).toEqual([200, null]);
  expect((await compute.status()).status).toBe("failed");
});

test("lifecycle.md case 63: while the control plane is away the compute stays pending, and goes on when it is back", async () => {
  using plane = await controlPlane();
  const storage = await store().timeline();
  await using compute = await startUnder(plane);
  await statusBecomes(compute, plane, "empty");
  plane.spec = specAt(compute, storage);
  const body = JSON.stringify({ spec: plane.spec, compute_ctl_config: { jwks: { keys: [] } } });
  expect((await ask(compute, plane, "/configure", { method: "POST", body })).status).toBe(200);
  plane.status = 503;
  await postInternal(compute, "/refresh_configuration");
  await compute.says("ERROR Refresh configuration: ");
  await statusBecomes(compute, plane, "refresh_configuration_pending");
  expect(await answerOf(await ask(compute, plane, "/configure", { method: "POST", body }))).toEqual([
    412,
    { error: "invalid compute status: refresh-configuration-pending" },
  ]);
  plane.status = 200;
  await statusBecomes(compute, plane, "running");
});
