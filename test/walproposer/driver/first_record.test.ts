import { expect, test } from "vitest";
import { FirstRecordCheck } from "../../../src/walproposer/driver/first_record.ts";
import { WAL_PAGE_SIZE, WAL_SEGMENT_SIZE } from "../../../src/wire/wal/segment.ts";
import { SYSTEM, WalBuilder } from "../../wire/wal/wal_builder.ts";

const PREVIOUS = 0x14f0000n;
const START = 0x1500028n;
const expected = { previousRecord: PREVIOUS, systemIdentifier: SYSTEM };

test("the right record is found wherever the stream is cut", () => {
  const { bytes } = new WalBuilder(START, PREVIOUS).record(Buffer.alloc(100, 1)).record(Buffer.alloc(30, 2));
  for (let cut = 0; cut <= bytes.length; cut++) {
    const check = new FirstRecordCheck(START, expected);
    check.push(bytes.subarray(0, cut));
    expect(check.found).toBe(cut < 124 ? undefined : START);
    check.push(bytes.subarray(cut));
    expect(check.found).toBe(START);
  }
});

test.each([
  ["a page", BigInt(0x1500000 + WAL_PAGE_SIZE), 24n],
  ["a segment", BigInt(2 * WAL_SEGMENT_SIZE), 40n],
])("at the start of %s it stands behind the header", (_name, start, header) => {
  const check = new FirstRecordCheck(start, expected);
  check.push(new WalBuilder(start, PREVIOUS).record(Buffer.alloc(100)).bytes);
  expect(check.found).toBe(start + header);
});

const MISMATCHES: [string, () => Buffer][] = [
  ["points at another record before it", () => new WalBuilder(START, PREVIOUS - 8n).record(Buffer.alloc(9)).bytes],
  ["is not there", () => Buffer.alloc(64)],
  [
    "is damaged",
    () => {
      const { bytes } = new WalBuilder(START, PREVIOUS).record(Buffer.alloc(100));
      bytes.writeUInt8(1, 60);
      return bytes;
    },
  ],
  [
    "is the middle of another one",
    () => new WalBuilder(START - 40n, PREVIOUS).record(Buffer.alloc(300, 7)).bytes.subarray(40),
  ],
];

test.each(MISMATCHES)("a record that %s stops everything", (_name, bytes) => {
  const check = new FirstRecordCheck(START, expected);
  expect(() => check.push(bytes())).toThrow(expect.objectContaining({ code: "base_mismatch" }));
  expect(check.found).toBe(undefined);
});

test("a page that gives up a torn record, or of another system, stops everything", () => {
  const torn = new WalBuilder(START, PREVIOUS).record(Buffer.alloc(20_000), { cutAt: 9_000 }).overwrite();
  const check = new FirstRecordCheck(START, expected);
  expect(() => check.push(torn.record(Buffer.alloc(10)).bytes)).toThrow("given up");
  const segment = BigInt(2 * WAL_SEGMENT_SIZE);
  const foreign = new WalBuilder(segment, PREVIOUS, { magic: 0xd116, systemIdentifier: SYSTEM + 1n });
  const other = new FirstRecordCheck(segment, expected);
  expect(() => other.push(foreign.record(Buffer.alloc(10)).bytes)).toThrow("page of another system");
});
