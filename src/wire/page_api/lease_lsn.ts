import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { Lsn } from "../lsn.ts";
import { bigintOf, readFields } from "./fields.ts";

export interface LeaseLsnRequest {
  /** Not `0n`. */
  readonly lsn: Lsn;
}

export interface LeaseLsnResponse {
  /** Absent only from a server that breaks the protocol. */
  readonly expires: Timestamp | undefined;
}

/** google.protobuf.Timestamp */
export interface Timestamp {
  /** Since 1970. */
  readonly seconds: bigint;
  /** 0 .. 999 999 999 */
  readonly nanos: number;
}

export function timestampFromMillis(millis: number): Timestamp {
  const seconds = Math.floor(millis / 1000);
  return { seconds: BigInt(seconds), nanos: Math.round((millis - seconds * 1000) * 1e6) };
}

export function timestampToMillis(timestamp: Timestamp): number {
  return Number(timestamp.seconds) * 1000 + Math.floor(timestamp.nanos / 1e6);
}

export function encodeLeaseLsnRequest(request: LeaseLsnRequest): Buffer {
  const writer = new BinaryWriter();
  if (request.lsn !== 0n) writer.tag(1, WireType.Varint).uint64(request.lsn);
  return Buffer.from(writer.finish());
}

export function decodeLeaseLsnRequest(bytes: Uint8Array): LeaseLsnRequest {
  let lsn = 0n;
  readFields(bytes, (field, wireType, reader) => {
    if (field !== 1 || wireType !== WireType.Varint) return false;
    lsn = bigintOf(reader.uint64());
    return true;
  });
  return { lsn };
}

export function encodeLeaseLsnResponse({ expires }: LeaseLsnResponse): Buffer {
  const writer = new BinaryWriter();
  if (expires !== undefined) {
    writer.tag(1, WireType.LengthDelimited).fork();
    if (expires.seconds !== 0n) writer.tag(1, WireType.Varint).int64(expires.seconds);
    if (expires.nanos !== 0) writer.tag(2, WireType.Varint).int32(expires.nanos);
    writer.join();
  }
  return Buffer.from(writer.finish());
}

export function decodeLeaseLsnResponse(bytes: Uint8Array): LeaseLsnResponse {
  let expires: Timestamp | undefined;
  readFields(bytes, (field, wireType, reader) => {
    if (field !== 1 || wireType !== WireType.LengthDelimited) return false;
    expires = decodeTimestamp(reader.bytes());
    return true;
  });
  return { expires };
}

function decodeTimestamp(bytes: Uint8Array): Timestamp {
  const timestamp = { seconds: 0n, nanos: 0 };
  readFields(bytes, (field, wireType, reader) => {
    if (wireType !== WireType.Varint) return false;
    if (field === 1) timestamp.seconds = bigintOf(reader.int64());
    else if (field === 2) timestamp.nanos = reader.int32();
    else return false;
    return true;
  });
  return timestamp;
}
