import fc from "fast-check";
import { expect, test } from "vitest";
import { LogRecords } from "../../src/postgres/log_records.ts";

const STAMP = "2025-07-29 10:00:00.123 GMT [42] ";

function recordsOf(chunks: readonly (Buffer | string)[], limit?: number): string[] {
  const joiner = new LogRecords(limit);
  return [...chunks.flatMap((chunk) => joiner.push(Buffer.from(chunk))), ...joiner.end()];
}

test("metrics-and-logs.md case 21: lines without a time are joined by U+200B, two records at once stay two", () => {
  const text = `${STAMP}ERROR:  no\nDETAIL:  because\nHINT:  do\n${STAMP}LOG:  next\n`;
  expect(recordsOf([text])).toEqual([`${STAMP}ERROR:  no\u200bDETAIL:  because\u200bHINT:  do`, `${STAMP}LOG:  next`]);
});

test("lifecycle.md case 38: a STATEMENT of three lines is one record with two U+200B", () => {
  const text = `${STAMP}STATEMENT:  SELECT\n\t1 /\n\t0;\n`;
  expect(recordsOf([text])).toEqual([`${STAMP}STATEMENT:  SELECT\u200b\t1 /\u200b\t0;`]);
});

test("metrics-and-logs.md case 23: bytes that are not UTF-8 become U+FFFD and later lines still come", () => {
  const chunks = [`${STAMP}LOG:  caf`, Buffer.from([0xe9]), ` x\n${STAMP}LOG:  later ö\n`];
  expect(recordsOf(chunks)).toEqual([`${STAMP}LOG:  caf\ufffd x`, `${STAMP}LOG:  later ö`]);
});

test("metrics-and-logs.md case 22: the end gives a line that never ended", () => {
  expect(recordsOf([`${STAMP}LOG:  a\n${STAMP}LOG:  cut o`])).toEqual([`${STAMP}LOG:  a`, `${STAMP}LOG:  cut o`]);
});

test("flush gives complete lines only; the rest of a late line is a record of its own", () => {
  const joiner = new LogRecords();
  expect(joiner.pending).toBe(false);
  expect(joiner.push(Buffer.from(`${STAMP}LOG:  a\nhalf`))).toEqual([]);
  expect(joiner.pending).toBe(true);
  expect(joiner.flush()).toEqual([`${STAMP}LOG:  a`]);
  expect(joiner.flush()).toEqual([]);
  expect(joiner.push(Buffer.from(" line\n"))).toEqual([]);
  expect(joiner.end()).toEqual(["half line"]);
});

test("a carriage return before the newline goes, empty lines stay", () => {
  expect(recordsOf([`${STAMP}a\r\n\r\nb\n`])).toEqual([`${STAMP}a\u200b\u200bb`]);
});

test("the same records come out however the input is split", () => {
  const text = Buffer.concat([
    Buffer.from(`${STAMP}ERROR:  ü€😀\n\tmore\r\n${STAMP}LOG:  `),
    Buffer.from([0xff, 0xe2, 0x82]),
    Buffer.from(`\n\n${STAMP}end`),
  ]);
  const whole = recordsOf([text]);
  for (let cut = 0; cut <= text.length; cut++) {
    expect(recordsOf([text.subarray(0, cut), text.subarray(cut)])).toEqual(whole);
  }
  expect(recordsOf([...text].map((byte) => Buffer.from([byte])))).toEqual(whole);
});

test("an endless line is cut at the limit, never in the middle of a character", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", minLength: 1 }), fc.integer({ min: 4, max: 40 }), (unit, limit) => {
      const text = unit
        .replaceAll(/[\r\n\ufffd]/g, "x")
        .repeat(20)
        .toWellFormed();
      fc.pre(!text.includes("\ufffd"));
      const records = recordsOf([text], limit);
      expect(records.join("")).toBe(text);
      for (const record of records) expect(Buffer.byteLength(record)).toBeLessThanOrEqual(limit);
    }),
  );
});

test("a record without end is cut at the limit too", () => {
  const joiner = new LogRecords(100);
  const records = joiner.push(Buffer.from("0123456789\n".repeat(50)));
  expect(records.length).toBeGreaterThan(3);
  for (const record of records) expect(record.replaceAll("\u200b", "").length).toBeLessThanOrEqual(100);
});
