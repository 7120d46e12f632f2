import { PassThrough } from "node:stream";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { collectLog, logLine } from "../../src/postgres/log_collector.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
});

test("a record is handed on 100 ms after its last line, and each new line starts the time again", async () => {
  const stream = new PassThrough();
  const records: string[] = [];
  const ended = collectLog(stream, { onRecord: (record) => records.push(record) });
  stream.write("2025-07-29 10:00:00 GMT a\n");
  await new Promise((resolve) => setImmediate(resolve));
  vi.advanceTimersByTime(99);
  expect(records).toEqual([]);
  stream.write("more\n");
  await new Promise((resolve) => setImmediate(resolve));
  vi.advanceTimersByTime(99);
  expect(records).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(records).toEqual(["2025-07-29 10:00:00 GMT a\u200bmore"]);
  stream.end("last");
  await ended;
  expect(records).toEqual(["2025-07-29 10:00:00 GMT a\u200bmore", "last"]);
});

test("a broken stream ends the log with what was there and the reason", async () => {
  const stream = new PassThrough();
  const records: string[] = [];
  const ended = collectLog(stream, { onRecord: (record) => records.push(record) });
  stream.write("half");
  await new Promise((resolve) => setImmediate(resolve));
  stream.destroy(new Error("gone"));
  await ended;
  expect(records).toEqual(["half", "the log of Postgres broke off: gone"]);
});

test("a log line carries the prefix that log readers look for", () => {
  expect(logLine("2025-07-29 10:00:00.123 GMT [42] LOG:  x")).toBe("PG:2025-07-29 10:00:00.123 GMT [42] LOG:  x\n");
});
