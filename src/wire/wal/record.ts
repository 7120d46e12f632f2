import type { Lsn } from "../lsn.ts";

/** Bytes of a record's fixed header. */
export const RECORD_HEADER = 24;

const RMGR_XLOG = 0;
const RMGR_XACT = 1;
const XLOG_CHECKPOINT_SHUTDOWN = 0x00;
const XLOG_CHECKPOINT_ONLINE = 0x10;
const XLOG_SWITCH = 0x40;
const XACT_OPERATION = 0x70;
const XACT_COMMIT = 0x00;
const XACT_COMMIT_PREPARED = 0x30;

/** One whole record with the right checksum. */
export interface WalRecord {
  /** Position of the record's first byte. */
  readonly start: Lsn;
  /** Where the next record may start: rounded up to 8, and the next segment after a switch record. */
  readonly end: Lsn;
  /** Position of the record before, as this record tells it. */
  readonly previous: Lsn;
  /** Bytes, header included. */
  readonly length: number;
  readonly xid: number;
  readonly rmgr: number;
  readonly info: number;
  /** What follows the header; present when the walker was asked to keep it. */
  readonly body?: Uint8Array;
}

type RecordKind = Pick<WalRecord, "rmgr" | "info">;

/** A record that leaves the rest of its segment unused. */
export function isSwitchRecord(record: RecordKind): boolean {
  return record.rmgr === RMGR_XLOG && (record.info & 0xf0) === XLOG_SWITCH;
}

/** True for checkpoints, the shutdown kind included. */
function isCheckpointRecord(record: RecordKind): boolean {
  const kind = record.info & 0xf0;
  return record.rmgr === RMGR_XLOG && (kind === XLOG_CHECKPOINT_SHUTDOWN || kind === XLOG_CHECKPOINT_ONLINE);
}

/** True for the end of a transaction that became visible. */
export function isCommitRecord(record: RecordKind): boolean {
  const operation = record.info & XACT_OPERATION;
  return record.rmgr === RMGR_XACT && (operation === XACT_COMMIT || operation === XACT_COMMIT_PREPARED);
}

export interface WalCheckpoint {
  /** Where recovery from this checkpoint begins. */
  readonly redo: Lsn;
  readonly shutdown: boolean;
}

/** Reads a checkpoint record whose body was kept; undefined for every other record. */
export function readCheckpoint(record: WalRecord): WalCheckpoint | undefined {
  if (!isCheckpointRecord(record)) return undefined;
  const data = record.body && mainData(record.body);
  if (!data || data.length < 8) return undefined;
  return { redo: data.readBigUInt64LE(0), shutdown: (record.info & 0xf0) === XLOG_CHECKPOINT_SHUTDOWN };
}

/** Commit time in microseconds since 2000-01-01 UTC of a commit record whose body was kept; undefined for others. */
export function commitTimestamp(record: WalRecord): bigint | undefined {
  if (!isCommitRecord(record)) return undefined;
  const data = record.body && mainData(record.body);
  return data && data.length >= 8 ? data.readBigInt64LE(0) : undefined;
}

/**
 * The data of a record that refers to no pages (checkpoints, transaction ends): an optional origin (0xFD), an optional
 * top-level xid (0xFC), then a short (0xFF) or long (0xFE) length; the data itself is the record's tail.
 */
function mainData(body: Uint8Array): Buffer | undefined {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.length);
  for (let at = 0; at < bytes.length; ) {
    const id = bytes[at];
    if (id === 0xfd) at += 3;
    else if (id === 0xfc) at += 5;
    else if (id === 0xff && at + 2 <= bytes.length) return tail(bytes, at + 2, bytes.readUInt8(at + 1));
    else if (id === 0xfe && at + 5 <= bytes.length) return tail(bytes, at + 5, bytes.readUInt32LE(at + 1));
    else return undefined;
  }
  return undefined;
}

function tail(bytes: Buffer, headers: number, length: number): Buffer | undefined {
  return headers + length <= bytes.length ? bytes.subarray(bytes.length - length) : undefined;
}
