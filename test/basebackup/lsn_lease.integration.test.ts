import { status } from "@grpc/grpc-js";
import { describe, expect, test } from "vitest";
import { requestLeases } from "../../src/basebackup/lsn_lease.ts";
import { timestampFromMillis } from "../../src/wire/page_api/lease_lsn.ts";
import {
  encodeCommandComplete,
  encodeDataRow,
  encodeErrorResponse,
  encodeReadyForQuery,
  encodeRowDescription,
  TYPE_OID,
} from "../../src/wire/postgres_protocol.ts";
import { startLibpqServer } from "../support/scripted_libpq_server.ts";
import { grpcStatus, startPageService } from "../support/scripted_page_service.ts";

const TENANT = "1".repeat(32);
const TIMELINE = "2".repeat(32);

function row(validUntil: string | null): Buffer {
  return Buffer.concat([
    encodeRowDescription([{ name: "valid_until", typeOid: TYPE_OID.text }]),
    encodeDataRow([validUntil]),
    encodeCommandComplete("SELECT 1"),
    encodeReadyForQuery(),
  ]);
}

const request = () => ({
  tenantId: TENANT,
  timelineId: TIMELINE,
  lsn: 0x300n,
  token: "jwt",
  signal: new AbortController().signal,
});
const libpq = (port: number, shardIndex = "0000") => ({
  protocol: "libpq" as const,
  url: `postgresql://127.0.0.1:${port}`,
  shardIndex,
});

describe("requestLeases", () => {
  test("lifecycle.md case 29: asks every pageserver, the earliest end counts", async () => {
    const ends = ["1700000600000", "1700000300000"];
    await using server = await startLibpqServer({ auth: "jwt", answer: (_, index) => row(ends[index] ?? "0") });
    const until = await requestLeases([libpq(server.port, "0002"), libpq(server.port, "0102")], request());
    expect(until?.getTime()).toBe(1_700_000_300_000);
    expect(server.sessions.map((session) => session.query)).toEqual([
      `lease lsn ${TENANT}-0002 ${TIMELINE} 0/300`,
      `lease lsn ${TENANT}-0102 ${TIMELINE} 0/300`,
    ]);
    expect(server.sessions[0]?.password).toBe("jwt");
  });

  test("storage-protocols.md case 13: NULL from one of two shards is a refusal", async () => {
    await using server = await startLibpqServer({ answer: (_, index) => row(index === 1 ? null : "1700000600000") });
    expect(await requestLeases([libpq(server.port, "0002"), libpq(server.port, "0102")], request())).toBeNull();
    expect(server.sessions).toHaveLength(2);
  });

  test("errors and senseless answers are errors, not refusals", async () => {
    const answers = [
      Buffer.concat([
        encodeErrorResponse({ severity: "ERROR", code: "XX000", message: "Not found: x" }),
        encodeReadyForQuery(),
      ]),
      row("soon"),
      Buffer.concat([encodeCommandComplete("SELECT 0"), encodeReadyForQuery()]),
    ];
    await using server = await startLibpqServer({ answer: (_, index) => answers[index] });
    await expect(requestLeases([libpq(server.port)], request())).rejects.toMatchObject({ code: "XX000" });
    await expect(requestLeases([libpq(server.port)], request())).rejects.toMatchObject({ code: "protocol_violation" });
    await expect(requestLeases([libpq(server.port)], request())).rejects.toMatchObject({ code: "protocol_violation" });
    await expect(requestLeases([], request())).rejects.toMatchObject({ code: "no_pageserver_url" });
  });

  test("over gRPC: granted, refused, failed", async () => {
    let calls = 0;
    await using server = await startPageService({
      leaseLsn: () => {
        calls++;
        if (calls === 2) throw grpcStatus(status.FAILED_PRECONDITION, "gone");
        if (calls === 3) throw grpcStatus(status.UNAVAILABLE, "later");
        return { expires: calls === 4 ? undefined : timestampFromMillis(1_700_000_600_123) };
      },
    });
    const endpoint = { protocol: "grpc" as const, url: server.url, shardIndex: "0000" };
    expect((await requestLeases([endpoint], request()))?.getTime()).toBe(1_700_000_600_123);
    expect(server.calls[0]).toMatchObject({ request: { lsn: 0x300n }, metadata: { "neon-shard-id": "0000" } });
    expect(await requestLeases([endpoint], request())).toBeNull();
    await expect(requestLeases([endpoint], request())).rejects.toMatchObject({ code: "grpc_unavailable" });
    await expect(requestLeases([endpoint], request())).rejects.toMatchObject({ code: "protocol_violation" });
  });
});
