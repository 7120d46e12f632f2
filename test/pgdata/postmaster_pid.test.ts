import { stat } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { isLivePostmaster, type PostmasterPid, parsePostmasterPid } from "../../src/pgdata/postmaster_pid.ts";
import type { ProcessState } from "../../src/pgdata/read_process.ts";
import { scratchDirectory } from "./scratch.ts";

const FULL = "4711\n/var/pg data\n1732222222\n5433\n/tmp\n127.0.0.1\n  1234567     98304\nready   \n";

describe("postmaster.pid", () => {
  test("a complete file", () => {
    expect(parsePostmasterPid(FULL)).toEqual({
      pid: 4711,
      dataDirectory: "/var/pg data",
      startTime: 1732222222,
      port: 5433,
      socketDirectory: "/tmp",
      listenAddress: "127.0.0.1",
      status: "ready",
    });
  });

  test("a file that is still being written gives what is there, at every length", () => {
    for (let length = 0; length <= FULL.length; length++) {
      const file = parsePostmasterPid(FULL.slice(0, length));
      if (length === 0) expect(file).toBeUndefined();
      else if (length >= 5) expect(file?.pid).toBe(4711);
    }
    expect(parsePostmasterPid("4711\n/d\n1\n5433\n")).toMatchObject({
      port: 5433,
      socketDirectory: null,
      status: null,
    });
  });

  test("no sockets, single-user mode, nonsense", () => {
    expect(parsePostmasterPid("1\n/d\n2\n5432\n\n*\n3 4\nready\n")).toMatchObject({
      socketDirectory: "",
      listenAddress: "*",
      status: "ready",
    });
    expect(parsePostmasterPid("-9\n/d\n")?.pid).toBe(9);
    for (const text of ["", "\n", "x\n/d\n", "0\n"]) expect(parsePostmasterPid(text)).toBeUndefined();
  });
});

describe("a live postmaster", () => {
  async function isLive(change: Partial<ProcessState> | undefined): Promise<boolean> {
    const directory = await scratchDirectory();
    const { dev, ino } = await stat(directory, { bigint: true });
    const found = change && { isZombie: false, name: "postgres", workingDirectory: { dev, ino }, ...change };
    const file = parsePostmasterPid("7\n") as PostmasterPid;
    return isLivePostmaster(file, directory, () => Promise.resolve(found));
  }

  test("is a server's process that works in the directory", async () => {
    expect(await isLive({})).toBe(true);
    expect(await isLive({ name: "postmaster" })).toBe(true);
  });

  test("is not gone, a zombie, another program or another directory's server", async () => {
    expect(await isLive(undefined)).toBe(false);
    expect(await isLive({ isZombie: true })).toBe(false);
    expect(await isLive({ name: "node" })).toBe(false);
    expect(await isLive({ workingDirectory: { dev: 0n, ino: 0n } })).toBe(false);
  });

  test("is assumed where the system does not tell", async () => {
    expect(await isLive({ workingDirectory: undefined })).toBe(true);
    expect(await isLive({ name: undefined })).toBe(true);
  });
});
