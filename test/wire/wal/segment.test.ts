import fc from "fast-check";
import { expect, test } from "vitest";
import { nextRecordPosition, parseWalSegmentName, walSegmentName } from "../../../src/wire/wal/segment.ts";

test("segment names", () => {
  expect(walSegmentName(1n)).toBe("000000010000000000000001");
  expect(walSegmentName(256n)).toBe("000000010000000100000000");
  expect(walSegmentName(0x1_00ffn, 10)).toBe("0000000A00000100000000FF");
  fc.assert(
    fc.property(fc.bigInt(0n, 2n ** 40n - 1n), fc.nat(0xffff), (segment, timeline) => {
      expect(parseWalSegmentName(walSegmentName(segment, timeline))).toEqual({ timeline, segment });
    }),
  );
});

test.each([
  "000000010000000000000100",
  "00000001000000000000000",
  "000000010000000000000001.partial",
  "00000002.history",
])("%s is no segment", (name) => {
  expect(parseWalSegmentName(name)).toBeUndefined();
});

test.each([
  [0x1000000n, 0x1000028n],
  [0x1002000n, 0x1002018n],
  [0x1002018n, 0x1002018n],
  [0x1002019n, 0x1002020n],
  [0x1001fffn, 0x1002018n],
])("a record at or after %i starts at %i", (lsn, expected) => {
  expect(nextRecordPosition(lsn)).toBe(expected);
});
