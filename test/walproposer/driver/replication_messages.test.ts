import fc from "fast-check";
import { expect, test } from "vitest";
import {
  decodeWalSenderMessage,
  encodeHotStandbyFeedback,
  encodeStandbyStatus,
} from "../../../src/walproposer/driver/replication_messages.ts";

const lsn = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn });

test("a standby status reports one position three times, in the server's epoch", () => {
  fc.assert(
    fc.property(lsn, (position) => {
      const message = encodeStandbyStatus(position, 946_684_800_000_001n);
      expect(message).toHaveLength(34);
      expect([1, 9, 17].map((offset) => message.readBigUInt64BE(offset))).toEqual([position, position, position]);
      expect(message.readBigInt64BE(25)).toBe(1n);
    }),
  );
});

test("feedback splits full transaction ids into xid and epoch", () => {
  const message = encodeHotStandbyFeedback({ time: 0n, xmin: (3n << 32n) | 7n, catalogXmin: 0n }, 0n);
  expect([message.length, message.readUInt32BE(9), message.readUInt32BE(13), message.readBigUInt64BE(17)]).toEqual([
    25,
    7,
    3,
    0n,
  ]);
});

test("WAL, keepalives and whatever else a walsender says", () => {
  const header = Buffer.alloc(25);
  header[0] = 0x77;
  header.writeBigUInt64BE(0x16_0000_0028n, 1);
  expect(decodeWalSenderMessage(Buffer.concat([header, Buffer.from("wal")]))).toEqual({
    type: "wal",
    start: 0x16_0000_0028n,
    bytes: Buffer.from("wal"),
  });
  const keepalive = Buffer.alloc(18);
  keepalive[0] = 0x6b;
  keepalive[17] = 1;
  expect(decodeWalSenderMessage(keepalive)).toEqual({ type: "keepalive", end: 0n, replyRequested: true });
  for (const short of [Buffer.alloc(0), header.subarray(0, 24), keepalive.subarray(0, 17), Buffer.from("z")])
    expect(decodeWalSenderMessage(short).type).toBe("other");
});
