import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { expect, test } from "vitest";
import { askCommunicator } from "../../src/http/communicator.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";

/** What Neon's Postgres serves in PGDATA; the directory is entered, because a path may be too long for a socket. */
async function communicator(pgdata: string): Promise<Server> {
  await mkdir(pgdata, { recursive: true });
  const server = createServer((request, response) => {
    response.writeHead(request.url === "/autoscaling_metrics" ? 200 : 404, { "content-type": "application/text" });
    response.end(`${request.headers.host} lfc_hits 1\n`);
  });
  const before = process.cwd();
  process.chdir(pgdata);
  server.listen("neon-communicator.socket");
  await once(server, "listening");
  process.chdir(before);
  return server;
}

const signal = new AbortController().signal;

test.each([
  ["a short path", "pgdata"],
  ["http-api.md case 41: a path of 150 characters", `${"long/".repeat(30)}pgdata`],
])("%s: status, type and body are passed on", async (_name, below) => {
  await using directory = await temporaryDirectory();
  const pgdata = join(directory.path, below);
  const server = await communicator(pgdata);
  const answer = await askCommunicator("/autoscaling_metrics", { pgdata, signal, temporary: directory.path });
  expect([answer.status, answer.headers.get("content-type"), await answer.text()]).toEqual([
    200,
    "application/text",
    "localhost lfc_hits 1\n",
  ]);
  expect((await askCommunicator("/nope", { pgdata, signal, temporary: directory.path })).status).toBe(404);
  server.close();
});

test("http-api.md case 41: nobody there is 500 with the reason", async () => {
  await using directory = await temporaryDirectory();
  await expect(askCommunicator("/autoscaling_metrics", { pgdata: directory.path, signal })).rejects.toMatchObject({
    status: 500,
    message: "connecting to communicator control socket",
    cause: { code: "ENOENT" },
  });
});
