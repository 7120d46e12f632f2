import { describe, expect, test } from "vitest";
import { baseBackupCommand, computeModeOption } from "../../src/basebackup/command.ts";
import { leaseCommand } from "../../src/basebackup/lsn_lease.ts";
import { grpcTarget } from "../../src/basebackup/page_service_client.ts";
import { parseLsn } from "../../src/wire/lsn.ts";

const ids = { tenantId: "a".repeat(32), timelineId: "b".repeat(32) };
const T_L = `${ids.tenantId} ${ids.timelineId}`;

describe("baseBackupCommand", () => {
  test("storage-protocols.md case 1: the command by mode and LSN", () => {
    const lsn = parseLsn("0/16abcde");
    const command = (mode: "primary" | "replica" | "static", at: bigint, gzip = true) =>
      baseBackupCommand({ ...ids, mode, lsn: at, gzip });
    expect(command("primary", lsn)).toBe(`basebackup ${T_L} 0/16ABCDE --gzip`);
    expect(command("primary", 0n)).toBe(`basebackup ${T_L} --gzip`);
    expect(command("replica", lsn)).toBe(`basebackup ${T_L} --gzip --replica`);
    expect(command("static", lsn)).toBe(`basebackup ${T_L} 0/16ABCDE --gzip --replica`);
    expect(command("primary", lsn, false)).toBe(`basebackup ${T_L} 0/16ABCDE`);
  });

  test("options of the start-up packet", () => {
    expect(computeModeOption("static")).toBe("-c neon.compute_mode=static");
  });
});

test("leaseCommand names the shard only of a sharded tenant", () => {
  expect(leaseCommand("0000", { ...ids, lsn: 0x300n })).toBe(`lease lsn ${T_L} 0/300`);
  expect(leaseCommand("0b10", { ...ids, lsn: 0x300n })).toBe(`lease lsn ${ids.tenantId}-0b10 ${ids.timelineId} 0/300`);
});

describe("grpcTarget", () => {
  test.each([
    ["grpc://localhost:51051", "dns:localhost:51051"],
    ["grpc://no_user@127.0.0.1:1/", "dns:127.0.0.1:1"],
    ["grpc://no_user@[::1]:51051", "dns:[::1]:51051"],
  ])("%s", (url, target) => expect(grpcTarget(url)).toBe(target));

  test.each(["http://localhost:1", "grpc://localhost", "grpc://a:1/x", "postgres://a:1", "grpc://:1"])(
    "not %s",
    (url) => {
      expect(() => grpcTarget(url)).toThrow(expect.objectContaining({ code: "invalid_grpc_url" }));
    },
  );
});
