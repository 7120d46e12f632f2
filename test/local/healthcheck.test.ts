import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { healthcheck } from "../../src/local/healthcheck.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";

/** A server that answers with this, and its port. */
async function answering(status: number, text: string): Promise<number> {
  const server = createServer((_request, response) => void response.writeHead(status).end(text)).listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** A state directory with this in its `run/service.json`; undefined: nothing runs there. */
async function stateDirectory(service: string | undefined): Promise<string> {
  const temporary = await temporaryDirectory();
  onTestFinished(() => temporary[Symbol.asyncDispose]());
  await mkdir(join(temporary.path, "run"));
  if (service !== undefined) await writeFile(join(temporary.path, "run/service.json"), service);
  return temporary.path;
}

const common = { cwd: "/", uid: -1 };

test("the service's compute is asked, else a compute_ctl on the port that the entry point gave it, else what is named", async () => {
  const port = await answering(200, "{}");
  const service = JSON.stringify({ pid: 1, pgs: { main: { externalHttp: port } } });
  const url = `http://127.0.0.1:${port}/readyz`;
  expect(await healthcheck({ ...common, dir: await stateDirectory(service), env: {} })).toBe(url);
  const env = { EXTERNAL_HTTP_PORT: String(port) };
  expect(await healthcheck({ ...common, dir: await stateDirectory(undefined), env })).toBe(url);
  expect(await healthcheck({ ...common, url: `${url}?x`, dir: "/nonexistent", env: {} })).toBe(`${url}?x`);
});

test.each<[string, string, string]>([
  ["still starting", "{}", "is still starting"],
  ["a damaged record", "{", "run/service.json cannot be read"],
])("no URL: %s", async (_what, service, text) => {
  const asking = healthcheck({ ...common, dir: await stateDirectory(service), env: {} });
  await expect(asking).rejects.toMatchObject({ code: "unhealthy", message: expect.stringContaining(text) as string });
});

test("an answer that says no is handed on", async () => {
  const port = await answering(503, '{"reason":"commits wait"}');
  const asking = healthcheck({ ...common, url: `http://127.0.0.1:${port}/readyz`, env: {} });
  await expect(asking).rejects.toThrow(/answers 503: .*commits wait/);
});
