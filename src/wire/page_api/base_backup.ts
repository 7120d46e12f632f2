import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { Lsn } from "../lsn.ts";
import { bigintOf, readFields } from "./fields.ts";

/** Numbers of the enum; a request with anything else is refused with INVALID_ARGUMENT. */
export const BASE_BACKUP_COMPRESSION = { unknown: 0, none: 1, gzip: 2 } as const;

export interface GetBaseBackupRequest {
  /** `0n`: the latest. */
  readonly lsn: Lsn;
  readonly replica: boolean;
  /** With relation files. */
  readonly full: boolean;
  /** One of {@link BASE_BACKUP_COMPRESSION}; unknown numbers are kept as they came. */
  readonly compression: number;
}

export interface GetBaseBackupResponseChunk {
  /** A view on the message. */
  readonly chunk: Buffer;
}

export function encodeGetBaseBackupRequest(request: GetBaseBackupRequest): Buffer {
  const writer = new BinaryWriter();
  // proto3: defaults are left out.
  if (request.lsn !== 0n) writer.tag(1, WireType.Varint).uint64(request.lsn);
  if (request.replica) writer.tag(2, WireType.Varint).bool(true);
  if (request.full) writer.tag(3, WireType.Varint).bool(true);
  if (request.compression !== 0) writer.tag(4, WireType.Varint).int32(request.compression);
  return asBuffer(writer.finish());
}

export function decodeGetBaseBackupRequest(bytes: Uint8Array): GetBaseBackupRequest {
  const request = { lsn: 0n, replica: false, full: false, compression: 0 };
  readFields(bytes, (field, wireType, reader) => {
    if (wireType !== WireType.Varint) return false;
    if (field === 1) request.lsn = bigintOf(reader.uint64());
    else if (field === 2) request.replica = reader.bool();
    else if (field === 3) request.full = reader.bool();
    else if (field === 4) request.compression = reader.int32();
    else return false;
    return true;
  });
  return request;
}

export function encodeGetBaseBackupResponseChunk({ chunk }: GetBaseBackupResponseChunk): Buffer {
  // By hand: the library's writer would copy the payload twice, and this is all that a backup consists of.
  if (chunk.length === 0) return Buffer.alloc(0);
  const head = new BinaryWriter().tag(1, WireType.LengthDelimited).uint32(chunk.length).finish();
  return Buffer.concat([head, chunk], head.length + chunk.length);
}

export function decodeGetBaseBackupResponseChunk(bytes: Uint8Array): GetBaseBackupResponseChunk {
  let chunk: Uint8Array = Buffer.alloc(0);
  readFields(bytes, (field, wireType, reader) => {
    if (field !== 1 || wireType !== WireType.LengthDelimited) return false;
    chunk = reader.bytes();
    return true;
  });
  return { chunk: asBuffer(chunk) };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
