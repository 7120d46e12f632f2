import fc from "fast-check";
import { expect, test } from "vitest";
import { WalBuffer } from "../../../src/walproposer/driver/wal_buffer.ts";

test("what is read is what was appended, whatever the pieces, reads and trims", () => {
  const bytes = Buffer.from(Array.from({ length: 200 }, (_, index) => index));
  fc.assert(
    fc.property(
      fc.array(fc.nat(20), { maxLength: 15 }),
      fc.array(fc.record({ from: fc.nat(210), length: fc.nat(60), trim: fc.boolean() }), { maxLength: 20 }),
      (sizes, steps) => {
        const buffer = new WalBuffer(1000n);
        let end = 0;
        for (const size of sizes) {
          // Every piece repeats a little of the one before, as a reattached stream does.
          const overlap = Math.min(3, end);
          buffer.append(1000n + BigInt(end - overlap), bytes.subarray(end - overlap, Math.min(200, end + size)));
          end = Math.min(200, end + size);
        }
        let start = 0;
        for (const { from, length, trim } of steps) {
          if (trim) {
            buffer.trim(1000n + BigInt(from));
            start = Math.min(end, Math.max(start, from));
          }
          const read = buffer.read(1000n + BigInt(from), 1000n + BigInt(from + length));
          const expected =
            from < start || from >= Math.min(end, from + length)
              ? undefined
              : bytes.subarray(from, Math.min(end, from + length));
          expect(read === undefined ? undefined : Buffer.from(read)).toEqual(expected);
        }
        expect([buffer.start, buffer.end, buffer.size]).toEqual([
          1000n + BigInt(start),
          1000n + BigInt(end),
          end - start,
        ]);
      },
    ),
  );
});

test("a gap is refused: WAL is never put together from what does not belong together", () => {
  const buffer = new WalBuffer(100n);
  buffer.append(100n, Buffer.from("abc"));
  expect(() => buffer.append(104n, Buffer.from("x"))).toThrow(/goes on at 0\/68, but 0\/67 was expected/);
});
