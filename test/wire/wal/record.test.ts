import { expect, test } from "vitest";
import { commitTimestamp, isSwitchRecord, readCheckpoint, type WalRecord } from "../../../src/wire/wal/record.ts";

function record(rmgr: number, info: number, body: Buffer): WalRecord {
  return { start: 8n, end: 16n, previous: 0n, length: 24 + body.length, xid: 7, rmgr, info, body };
}

function time(micros: bigint): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeBigInt64LE(micros);
  return bytes;
}

test("commit time behind a short length, an origin and a top-level xid", () => {
  const data = time(846_000_000_123_456n);
  expect(commitTimestamp(record(1, 0x00, Buffer.concat([Buffer.of(0xff, 16), data])))).toBe(846_000_000_123_456n);
  expect(commitTimestamp(record(1, 0x80, Buffer.concat([Buffer.of(0xff, 16), data])))).toBe(846_000_000_123_456n);
  const prefixed = Buffer.concat([Buffer.of(0xfd, 1, 0, 0xfc, 9, 0, 0, 0, 0xff, 16), data]);
  expect(commitTimestamp(record(1, 0x30, prefixed))).toBe(846_000_000_123_456n);
});

test("commit time behind a long length", () => {
  const data = Buffer.concat([time(-5n), Buffer.alloc(300)]);
  const length = Buffer.alloc(5, 0xfe);
  length.writeUInt32LE(data.length, 1);
  expect(commitTimestamp(record(1, 0x00, Buffer.concat([length, data])))).toBe(-5n);
});

test.each([
  ["an abort", record(1, 0x20, Buffer.concat([Buffer.of(0xff, 16), time(1n)]))],
  ["another resource manager", record(10, 0x00, Buffer.concat([Buffer.of(0xff, 16), time(1n)]))],
  ["a length beyond the record", record(1, 0x00, Buffer.of(0xff, 16, 1))],
  ["no data", record(1, 0x00, Buffer.alloc(0))],
])("no commit time in %s", (_what, wal) => {
  expect(commitTimestamp(wal)).toBeUndefined();
});

test("checkpoints tell where recovery begins", () => {
  const body = Buffer.alloc(90);
  body.set([0xff, 88]);
  body.writeBigUInt64LE(0x14d89f0n, 2);
  expect(readCheckpoint(record(0, 0x00, body))).toEqual({ redo: 0x14d89f0n, shutdown: true });
  expect(readCheckpoint(record(0, 0x10, body))).toEqual({ redo: 0x14d89f0n, shutdown: false });
  expect(readCheckpoint(record(0, 0x20, body))).toBeUndefined();
  expect(readCheckpoint(record(1, 0x00, body))).toBeUndefined();
});

test("switch records", () => {
  expect(isSwitchRecord({ rmgr: 0, info: 0x40 })).toBe(true);
  expect(isSwitchRecord({ rmgr: 0, info: 0x50 })).toBe(false);
  expect(isSwitchRecord({ rmgr: 1, info: 0x40 })).toBe(false);
});
