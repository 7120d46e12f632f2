import { describe, expect, test } from "vitest";
import { quickCheck } from "../../src/basebackup/quick_check.ts";
import { timelineStatus } from "../../src/basebackup/safekeeper_status.ts";
import {
  encodeCommandComplete,
  encodeDataRow,
  encodeReadyForQuery,
  encodeRowDescription,
  TYPE_OID,
} from "../../src/wire/postgres_protocol.ts";
import { type ScriptedLibpqServer, startLibpqServer } from "../support/scripted_libpq_server.ts";
import { type SafekeeperState, startSafekeeper } from "../support/scripted_safekeeper.ts";

const ids = { tenantId: "1".repeat(32), timelineId: "2".repeat(32) };

/** Longer than a test may take: who waits for a silent one is found out. */
const PATIENT = 120_000;

const at = (flush: string, commit = flush) => ({ flush, commit });

async function check(timeoutMs: number, ...states: SafekeeperState[]) {
  const servers = await Promise.all(states.map((state) => startSafekeeper(state, "jwt")));
  try {
    const result = await quickCheck({
      ...ids,
      safekeepers: servers.map(({ port }) => `127.0.0.1:${port}`),
      token: "jwt",
      timeoutMs,
      signal: new AbortController().signal,
    });
    return { ...result, servers };
  } finally {
    await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
  }
}

describe("quickCheck", () => {
  test("lifecycle.md case 24: three safekeepers at one LSN are synced there", async () => {
    const { decision, servers } = await check(PATIENT, at("0/100"), at("0/100"), at("0/100"));
    expect(decision).toEqual({ kind: "synced", lsn: 0x100n });
    const session = servers.flatMap((server) => server.sessions)[0];
    expect(session?.query).toBe("TIMELINE_STATUS");
    expect(session?.password).toBe("jwt");
    expect(session?.parameters.get("user")).toBe("no_user");
    expect(session?.parameters.get("options")).toBe(`-c timeline_id=${ids.timelineId} tenant_id=${ids.tenantId}`);
  });

  test("lifecycle.md case 25: flush and commit differ on one of a quorum: full sync", async () => {
    expect((await check(PATIENT, at("0/100"), at("0/200", "0/100"))).decision).toEqual({ kind: "differ" });
  });

  test("storage-protocols.md case 16, lifecycle.md case 25: two of three are equal, the third is silent: no waiting for it", async () => {
    const { decision, failures } = await check(PATIENT, at("0/100"), at("0/100"), "silent");
    expect(decision).toEqual({ kind: "synced", lsn: 0x100n });
    expect(failures).toEqual([]);
  });

  test("storage-protocols.md case 16: one of two answers differs, or the timeline is unknown on one: full sync", async () => {
    expect((await check(PATIENT, at("0/100"), at("0/200"))).decision).toEqual({ kind: "differ" });
    expect((await check(PATIENT, at("0/100"), "unknown")).decision).toEqual({ kind: "differ" });
  });

  test("a quorum of failures: full sync, with the reasons", async () => {
    const { decision, failures } = await check(100, at("0/100"), "silent", "silent");
    expect(decision).toEqual({ kind: "no_quorum" });
    expect(failures).toHaveLength(2);
    expect(failures[0]).toMatch(/^127\.0\.0\.1:\d+: safekeeper .*no answer within 100 ms$/);
  });

  test("an abort is passed on", async () => {
    await using silent = await startSafekeeper("silent", "jwt");
    const owner = new AbortController();
    const options = { ...ids, safekeepers: [`127.0.0.1:${silent.port}`], token: "jwt", timeoutMs: 60_000 };
    const checking = quickCheck({ ...options, signal: owner.signal });
    owner.abort(new Error("stopping"));
    await expect(checking).rejects.toThrow("stopping");
    await expect(quickCheck({ ...options, signal: owner.signal })).rejects.toThrow("stopping");
  });
});

describe("timelineStatus", () => {
  const ask = (server: ScriptedLibpqServer) =>
    timelineStatus({
      ...ids,
      safekeeper: `127.0.0.1:${server.port}`,
      token: "jwt",
      timeoutMs: 5000,
      signal: new AbortController().signal,
    });

  test("storage-protocols.md case 15: zero rows mean that the timeline is unknown", async () => {
    await using unknown = await startSafekeeper("unknown", "jwt");
    expect(await ask(unknown)).toBeNull();
  });

  test("flush and commit LSN", async () => {
    await using server = await startSafekeeper(at("1/ABCDEF", "0/16"), "jwt");
    expect(await ask(server)).toEqual({ flushLsn: 0x100abcdefn, commitLsn: 0x16n });
  });

  test("an answer without its columns is an error", async () => {
    const answer = Buffer.concat([
      encodeRowDescription([{ name: "x", typeOid: TYPE_OID.text }]),
      encodeDataRow(["0/1"]),
      encodeCommandComplete("x"),
      encodeReadyForQuery(),
    ]);
    await using server = await startLibpqServer({ answer: () => answer });
    await expect(ask(server)).rejects.toMatchObject({ code: "protocol_violation" });
  });
});
