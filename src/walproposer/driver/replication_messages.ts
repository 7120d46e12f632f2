import type { Lsn } from "../../wire/lsn.ts";
import type { HotStandbyFeedback } from "../../wire/safekeeper/messages.ts";

/** What a walsender sends inside COPY BOTH (contract: storage-protocols.md 5.8). */
export type WalSenderMessage =
  | { readonly type: "wal"; readonly start: Lsn; readonly bytes: Buffer }
  | { readonly type: "keepalive"; readonly end: Lsn; readonly replyRequested: boolean }
  | { readonly type: "other"; readonly tag: number };

const XLOG_DATA = 0x77;
const KEEPALIVE = 0x6b;
const XLOG_DATA_HEADER = 25;
/** Between the Unix epoch and 2000-01-01, in microseconds. */
const POSTGRES_EPOCH_MICROS = 946_684_800_000_000n;

export function decodeWalSenderMessage(payload: Buffer): WalSenderMessage {
  const tag = payload[0] ?? 0;
  if (tag === XLOG_DATA && payload.length >= XLOG_DATA_HEADER)
    return { type: "wal", start: payload.readBigUInt64BE(1), bytes: payload.subarray(XLOG_DATA_HEADER) };
  if (tag === KEEPALIVE && payload.length >= 18)
    return { type: "keepalive", end: payload.readBigUInt64BE(1), replyRequested: payload[17] === 1 };
  return { type: "other", tag };
}

/** `r`: the standby has written, flushed and applied up to here (contract: storage-protocols.md 10.3). */
export function encodeStandbyStatus(lsn: Lsn, epochMicros: bigint): Buffer {
  const message = Buffer.allocUnsafe(34);
  message[0] = 0x72;
  for (const offset of [1, 9, 17]) message.writeBigUInt64BE(lsn, offset);
  message.writeBigInt64BE(epochMicros - POSTGRES_EPOCH_MICROS, 25);
  message[33] = 0;
  return message;
}

/** `h`: the oldest transactions that replicas still need; zeros release them. */
export function encodeHotStandbyFeedback(feedback: HotStandbyFeedback, epochMicros: bigint): Buffer {
  const message = Buffer.allocUnsafe(25);
  message[0] = 0x68;
  message.writeBigInt64BE(epochMicros - POSTGRES_EPOCH_MICROS, 1);
  const write = (full: bigint, offset: number): void => {
    message.writeUInt32BE(Number(full & 0xffffffffn), offset);
    message.writeUInt32BE(Number(full >> 32n), offset + 4);
  };
  write(feedback.xmin, 9);
  write(feedback.catalogXmin, 17);
  return message;
}
