import type { Lsn } from "../lsn.ts";
import { WAL_PAGE_SIZE, WAL_SEGMENT_SIZE } from "./segment.ts";

const SHORT_PAGE_HEADER = 24;
export const LONG_PAGE_HEADER = 40;

/** The page begins with the rest of a record that started on an earlier page. */
export const FIRST_IS_CONTINUATION = 0x0001;
/** The header is the long one of a segment's first page. */
export const LONG_HEADER = 0x0002;
/** The record that ran into this page was given up; a new one starts right behind the header. */
export const FIRST_OVERWRITES_CONTINUATION = 0x0008;
const ALL_FLAGS = 0x000f;

/** First two bytes of every WAL page, by PostgreSQL major version (contract: storage-protocols.md 2.5). */
export const WAL_PAGE_MAGIC: Readonly<Record<number, number>> = {
  14: 0xd10d,
  15: 0xd110,
  16: 0xd113,
  17: 0xd116,
  18: 0xd118,
};

export interface WalPageHeader {
  readonly magic: number;
  readonly info: number;
  readonly timeline: number;
  /** Position of the page's first byte. */
  readonly address: Lsn;
  /** Bytes of a continued record still missing at this page's start. */
  readonly remaining: number;
  /** Only in the long header of a segment's first page. */
  readonly systemIdentifier?: bigint;
}

/** Length of the header of the page that starts at `address`. */
export function pageHeaderSize(address: Lsn): number {
  return address % BigInt(WAL_SEGMENT_SIZE) === 0n ? LONG_PAGE_HEADER : SHORT_PAGE_HEADER;
}

/**
 * Reads the header at the start of `bytes`. A text instead of a header says what is wrong with it: page headers carry no
 * checksum, so everything that has one right value is compared.
 */
export function decodePageHeader(bytes: Uint8Array, address: Lsn): WalPageHeader | string {
  const size = pageHeaderSize(address);
  if (bytes.length < size) return `page header cut short at ${bytes.length} bytes`;
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, size);
  const magic = view.readUInt16LE(0);
  const info = view.readUInt16LE(2);
  if (!Object.values(WAL_PAGE_MAGIC).includes(magic)) return `unknown page magic ${magic.toString(16)}`;
  if ((info & ~ALL_FLAGS) !== 0) return `unknown page flags ${info.toString(16)}`;
  if (view.readBigUInt64LE(8) !== address) return "page address belongs to another place";
  const long = (info & LONG_HEADER) !== 0;
  if (long !== (size === LONG_PAGE_HEADER)) return "page header has the wrong length for its place";
  if (long && view.readUInt32LE(32) !== WAL_SEGMENT_SIZE) return "page header names another segment size";
  if (long && view.readUInt32LE(36) !== WAL_PAGE_SIZE) return "page header names another page size";
  return {
    magic,
    info,
    timeline: view.readUInt32LE(4),
    address,
    remaining: view.readUInt32LE(16),
    ...(long && { systemIdentifier: view.readBigUInt64LE(24) }),
  };
}

/** The bytes of a page header: 24, or 40 with the long-header bit in `info`. */
export function encodePageHeader(header: WalPageHeader): Buffer {
  const long = (header.info & LONG_HEADER) !== 0;
  const bytes = Buffer.alloc(long ? LONG_PAGE_HEADER : SHORT_PAGE_HEADER);
  bytes.writeUInt16LE(header.magic, 0);
  bytes.writeUInt16LE(header.info, 2);
  bytes.writeUInt32LE(header.timeline, 4);
  bytes.writeBigUInt64LE(header.address, 8);
  bytes.writeUInt32LE(header.remaining, 16);
  if (long) {
    bytes.writeBigUInt64LE(header.systemIdentifier ?? 0n, 24);
    bytes.writeUInt32LE(WAL_SEGMENT_SIZE, 32);
    bytes.writeUInt32LE(WAL_PAGE_SIZE, 36);
  }
  return bytes;
}

/** Puts another system identifier into a segment's first page, in place (contract: stock-postgres.md 1). */
export function patchSystemIdentifier(segmentStartBytes: Uint8Array, systemIdentifier: bigint): void {
  Buffer.from(segmentStartBytes.buffer, segmentStartBytes.byteOffset, LONG_PAGE_HEADER).writeBigUInt64LE(
    systemIdentifier,
    24,
  );
}
