import fc from "fast-check";
import { expect, test } from "vitest";
import { crc32c } from "../../src/wire/crc32c.ts";

test.each([
  ["", 0],
  ["a", 0xc1d04330],
  ["123456789", 0xe3069283],
])("CRC-32C of %j", (text, expected) => {
  expect(crc32c(Buffer.from(text))).toBe(expected);
});

test("CRC-32C of RFC 3720's patterns", () => {
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa);
  expect(crc32c(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43);
  expect(crc32c(Buffer.from(Array.from({ length: 32 }, (_, i) => i)))).toBe(0x46dd794e);
});

test("pieces one after the other give the CRC of the whole", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(100), (bytes, cut) => {
      expect(crc32c(bytes.subarray(cut), crc32c(bytes.subarray(0, cut)))).toBe(crc32c(bytes));
    }),
  );
});
