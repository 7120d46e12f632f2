import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { dirname, join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { lockInstance } from "../../src/local/instance_lock.ts";
import { choosePgPorts } from "../../src/local/ports.ts";
import { openStateDirectory } from "../../src/local/state_directory.ts";
import type { StateLayout } from "../../src/local/state_layout.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";

const uid = process.geteuid?.() ?? -1;
let directory: string;
let layout: StateLayout;

beforeEach(async () => {
  const temporary = await temporaryDirectory();
  directory = temporary.path;
  layout = await openStateDirectory(join(directory, "s"), { uid, now: Date.now });
  onTestFinished(() => temporary[Symbol.asyncDispose]());
});

describe("one service a state directory", () => {
  const options = () => ({ uid, temporaryDir: directory });

  test("the second is refused with the first one's pid, and let in when that has gone", async () => {
    const first = await lockInstance(layout, options());
    expect(first.socketPath).toBe(join(layout.runDir, "api.sock"));
    await writeFile(layout.serviceFile, JSON.stringify({ pid: 4711 }));
    await expect(lockInstance(layout, options())).rejects.toMatchObject({
      code: "already_running",
      exitCode: 6,
      message: expect.stringContaining("4711"),
    });
    await Promise.all([first.release(), first.release()]);
    await (await lockInstance(layout, options())).release();
  });

  test("of many that start together exactly one gets in", async () => {
    await writeFile(join(layout.runDir, "api.sock"), "a dead one's");
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => lockInstance(layout, options())));
    const held = results.filter((result) => result.status === "fulfilled");
    expect(held).toHaveLength(1);
    for (const result of results)
      if (result.status === "rejected") expect(result.reason).toMatchObject({ code: "already_running" });
    await held[0]?.value.release();
  });

  test("a path too long for a socket is replaced by one below TMPDIR that is ours alone", async () => {
    const deep = await openStateDirectory(join(directory, "d".repeat(120)), { uid, now: Date.now });
    const temporaryDir = await temporaryDirectory();
    onTestFinished(() => temporaryDir[Symbol.asyncDispose]());
    const held = await lockInstance(deep, { uid, temporaryDir: temporaryDir.path });
    expect(held.socketPath).toMatch(/\/neon-local-[0-9a-f]{16}\/api\.sock$/);
    await expect(lockInstance(deep, { uid, temporaryDir: temporaryDir.path })).rejects.toMatchObject({ exitCode: 6 });
    await held.release();
    const other = await temporaryDirectory();
    onTestFinished(() => other[Symbol.asyncDispose]());
    await mkdir(join(other.path, dirname(held.socketPath).slice(temporaryDir.path.length)), { mode: 0o777 });
    await writeFile(join(directory, "x"), "");
    await expect(lockInstance(deep, { uid: uid + 1, temporaryDir: other.path })).rejects.toMatchObject({ exitCode: 4 });
  });
});

describe("ports", () => {
  async function listen(port: number, host: string): Promise<{ server: Server; port: number }> {
    const server = createServer().listen(port, host);
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const address = server.address();
    return { server, port: typeof address === "object" && address !== null ? address.port : -1 };
  }

  test.each(["127.0.0.1", "0.0.0.0"])("a port that is taken on %s is named, with its owner", async (host) => {
    const { port } = await listen(0, host);
    await expect(choosePgPorts(port)).rejects.toMatchObject({
      code: "port_in_use",
      exitCode: 5,
      message: expect.stringMatching(
        new RegExp(process.platform === "linux" ? `port ${port} .* ${process.pid}` : `port ${port}`),
      ),
    });
  });

  test("any three, all different; the HTTP ports are the neighbours where those are free", async () => {
    const any = await choosePgPorts(0);
    expect(new Set(Object.values(any)).size).toBe(3);
    const again = await choosePgPorts(any.postgres);
    expect(again.postgres).toBe(any.postgres);
    const neighbour = await listen(again.postgres + 1, "127.0.0.1").catch(() => undefined);
    // Somebody else may have it: then it is as taken as if we had.
    const third = await choosePgPorts(any.postgres);
    expect(third.externalHttp).not.toBe(any.postgres + 1);
    neighbour?.server.close();
  });
});
