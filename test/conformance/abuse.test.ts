import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { Compute } from "../support/compute_ctl.ts";

const MIB = 1024 * 1024;

let compute: Compute;
beforeAll(async () => {
  compute = await Compute.start({ config: {} });
  await compute.reach("empty");
});
afterAll(async () => await compute?.[Symbol.asyncDispose]());
// Whatever was done to it, it answers, and has not grown.
afterEach(async () => {
  expect((await compute.status()).status).toBe("empty");
  expect(await residentBytes()).toBeLessThan(200 * MIB);
});

async function residentBytes(): Promise<number> {
  if (process.platform !== "linux") return 0;
  const status = await readFile(`/proc/${compute.child.pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}

async function open(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  // Being thrown out is an answer, too.
  socket.on("error", () => undefined);
  await once(socket, "connect");
  return socket;
}

/** Everything that comes until the other side, or its patience with us, ends. */
async function allOf(socket: Socket): Promise<string> {
  let text = "";
  socket.setEncoding("latin1").on("data", (chunk: string) => (text += chunk));
  await closed(socket);
  return text;
}

function closed(socket: Socket): Promise<void> {
  return new Promise((done) => (socket.closed ? done() : socket.once("close", () => done())));
}

function statusOf(text: string): number {
  return Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]);
}

test("connections that are opened and dropped", async () => {
  for (let round = 0; round < 20; round++) {
    const sockets = await Promise.all(Array.from({ length: 100 }, () => open(compute.externalPort)));
    for (const [index, socket] of sockets.entries()) {
      if (index % 3 === 1) socket.write("GET /status HTTP/1.1\r\nHost: x\r\n");
      if (index % 3 === 2) socket.write("POST /configure HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{");
      if (index % 2 === 0) socket.destroy();
      else socket.resetAndDestroy();
    }
  }
});

test("bodies that never end", async () => {
  const head = "POST /grants HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{";
  const sockets = await Promise.all(Array.from({ length: 200 }, () => open(compute.internalPort)));
  for (const socket of sockets) socket.write(head);
  // Meanwhile others are served.
  for (let times = 0; times < 20; times++) expect((await compute.request("/status")).status).toBe(200);
  for (const socket of sockets) socket.destroy();
});

test.each([
  ["external, without a token", "/configure", "externalPort", 400],
  ["internal", "/grants", "internalPort", 413],
] as const)("bodies of 100 MB: %s", async (_name, path, port, expected) => {
  for (const framing of ["Content-Length: 104857600", "Transfer-Encoding: chunked"]) {
    const socket = await open(compute[port]);
    const answered = allOf(socket);
    socket.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${framing}\r\n\r\n`);
    const piece = Buffer.alloc(MIB, 0x20);
    const chunked = framing.startsWith("Transfer");
    for (let sent = 0; sent < 100 && socket.writable; sent++) {
      if (chunked) socket.write("100000\r\n");
      const flushed = socket.write(piece);
      if (chunked) socket.write("\r\n");
      if (!flushed) await Promise.race([new Promise((done) => socket.once("drain", done)), closed(socket)]);
    }
    socket.end(chunked ? "0\r\n\r\n" : "");
    const text = await answered;
    // Who goes on sending may be cut off before the answer arrives.
    if (text !== "") {
      expect(statusOf(text)).toBe(expected);
      expect(text.toLowerCase()).toContain("connection: close");
    }
  }
});

test("what is no HTTP", async () => {
  const garbage = [
    "\r\n\r\n\r\n",
    "GET\r\n\r\n",
    "GET /status HTTP/9.9\r\n\r\n",
    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "GET /status HTTP/1.1\r\nHost: x\r\nContent-Length: nine\r\n\r\n",
    "GET /status HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "GET /%ff%00 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "GET http://[::1/status HTTP/1.1\r\nHost: [\r\nConnection: close\r\n\r\n",
    "GET /status HTTP/1.1\r\nHost: x\r\nX-Request-Id: \x01\r\nConnection: close\r\n\r\n",
    `GET /status HTTP/1.1\r\n${"A: b\r\n".repeat(3_000)}\r\n`,
  ];
  for (const text of garbage) {
    for (const port of [compute.externalPort, compute.internalPort]) {
      const socket = await open(port);
      const answered = allOf(socket);
      socket.end(text, "latin1");
      const status = statusOf(await answered);
      // Some are dropped without a word.
      if (!Number.isNaN(status)) expect([400, 404, 431]).toContain(status);
    }
  }
});

test("tokens of 1 MB", async () => {
  for (let times = 0; times < 20; times++) {
    const socket = await open(compute.externalPort);
    const answered = allOf(socket);
    socket.end(`GET /status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${"a".repeat(MIB)}\r\n\r\n`);
    expect([431, Number.NaN]).toContain(statusOf(await answered));
  }
  // As large as a header may be, in parts that look like a token.
  const token = `${"a".repeat(4_000)}.${"b".repeat(4_000)}.${"c".repeat(4_000)}`;
  for (let times = 0; times < 20; times++) {
    const refused = await compute.request("/status", { headers: { authorization: `Bearer ${token}` } });
    expect(refused.status).toBe(401);
  }
  expect(compute.output).not.toContain("aaaaaaaa");
});

test("streams that nobody reads, more than are given out", async () => {
  const streams = await Promise.all(Array.from({ length: 80 }, () => compute.request("/events")));
  const statuses = streams.map(({ status }) => status);
  expect(statuses.filter((status) => status === 503).length).toBeGreaterThan(0);
  await Promise.all(streams.map(({ body }) => body?.cancel()));
  // A stream is free again when its client is gone.
  await expect
    .poll(async () => {
      const response = await compute.request("/events");
      await response.body?.cancel();
      return response.status;
    })
    .toBe(200);
});
