import { describe, expect, test } from "vitest";
import { errorChain } from "../../../src/errors/coded_error.ts";
import { parsePageserverCommand } from "../../../src/store/pageserver/command.ts";

const T = "0123456789abcdef0123456789abcdef";
const L = "fedcba9876543210fedcba9876543210";
const ids = { tenantId: T, timelineId: L };

describe("storage-protocols.md case 7: commands that are accepted", () => {
  test.each([
    [`basebackup ${T} ${L}`, { lsn: undefined, gzip: false, replica: false }],
    [`basebackup ${T} ${L} --gzip`, { lsn: undefined, gzip: true, replica: false }],
    [`BASEBACKUP ${T} ${L} latest --replica --gzip`, { lsn: undefined, gzip: true, replica: true }],
    [`  basebackup\t${T.toUpperCase()}  ${L} 0/16ABCDE --gzip `, { lsn: 0x16abcden, gzip: true, replica: false }],
    [`basebackup ${T} ${L} 0/0`, { lsn: 0n, gzip: false, replica: false }],
  ])("%s", (query, expected) => {
    expect(parsePageserverCommand(query)).toEqual({ name: "basebackup", ...ids, ...expected });
  });
});

test("fullbackup", () => {
  expect(parsePageserverCommand(`fullbackup ${T} ${L}`)).toEqual({
    name: "fullbackup",
    ...ids,
    lsn: undefined,
    previousLsn: undefined,
  });
  expect(parsePageserverCommand(`fullbackup ${T} ${L} 1/2 1/1`)).toMatchObject({
    lsn: 0x1_0000_0002n,
    previousLsn: 0x1_0000_0001n,
  });
});

test("storage-protocols.md case 14: lease lsn with a trailing blank", () => {
  expect(parsePageserverCommand(`lease lsn ${T}-0000 ${L} 0/16ABCDE `)).toEqual({
    name: "lease lsn",
    tenant: { tenantId: T, shardNumber: 0, shardCount: 0 },
    timelineId: L,
    lsn: 0x16abcden,
  });
});

test("set", () => {
  expect(parsePageserverCommand("SET datestyle TO 'ISO'")).toEqual({ name: "set" });
});

describe("storage-protocols.md case 7: commands that are refused", () => {
  test.each([
    ["basebackup", "cannot parse query: basebackup"],
    ["", "cannot parse query: "],
    [`basebackup ${T}`, `invalid number of parameters for basebackup command: ${T}`],
    [`fullbackup ${T}`, `invalid number of parameters for fullbackup command: ${T}`],
    [`basebackup x ${L}`, "Failed to parse tenant id from x: expected 32 hexadecimal digits"],
    [`basebackup ${T} y`, "Failed to parse timeline id from y: expected 32 hexadecimal digits"],
    [`basebackup ${T} ${L} 16`, "Failed to parse lsn from 16: expected two hexadecimal numbers and a /"],
    [`basebackup ${T} ${L} LATEST`, "Failed to parse lsn from LATEST: expected two hexadecimal numbers and a /"],
    [`fullbackup ${T} ${L} 16`, "Failed to parse Lsn from 16: expected two hexadecimal numbers and a /"],
    [`basebackup ${T} ${L} --gzip --gzip`, "duplicate parameter for basebackup command: --gzip"],
    [`basebackup ${T} ${L} --gzip 0/1`, "invalid parameter for basebackup command: 0/1"],
    [`basebackup ${T} ${L} --foo`, "invalid parameter for basebackup command: --foo"],
    [`basebackup ${T} ${L} 0/1 0/2`, "invalid parameter for basebackup command: 0/2"],
    [`lease lsn ${T} ${L}`, `invalid number of parameters for lease lsn command: ${T} ${L}`],
    [`lease lsn ${T} ${L} 0/1 0/2`, `invalid number of parameters for lease lsn command: ${T} ${L} 0/1 0/2`],
    ["lease lsn", "invalid lease command: lease"],
    [`lease timeline ${T} ${L}`, "invalid lease command: lease"],
    [`lease lsn ${T} ${L} x`, "Failed to parse lsn from x: expected two hexadecimal numbers and a /"],
    [`pagestream_v3 ${T} ${L}`, `unsupported command pagestream_v3 in pagestream_v3 ${T} ${L}`],
    ["SELECT 1", "unsupported command SELECT in SELECT 1"],
  ])("%s", (query, message) => {
    let error: unknown;
    try {
      parsePageserverCommand(query);
    } catch (thrown) {
      error = thrown;
    }
    expect(errorChain(error)).toBe(message);
  });
});
