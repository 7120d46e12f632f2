import type { Lsn } from "../lsn.ts";

export const WAL_PAGE_SIZE = 8192;
/** The segment size of `initdb` and of Neon; other sizes are refused where WAL comes in. */
export const WAL_SEGMENT_SIZE = 16 * 1024 * 1024;
/** Neon never leaves PostgreSQL timeline 1 (contract: storage-protocols.md 0). */
export const WAL_TIMELINE = 1;

const SEGMENT_BYTES = BigInt(WAL_SEGMENT_SIZE);
const PAGE_BYTES = BigInt(WAL_PAGE_SIZE);
const SEGMENTS_PER_ID = 0x1_0000_0000n / SEGMENT_BYTES;
const SEGMENT_NAME = /^([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})$/;

/** Number of the segment that holds the byte at `lsn`. */
export function segmentNumber(lsn: Lsn): bigint {
  return lsn / SEGMENT_BYTES;
}

/** Position of a segment's first byte. */
export function segmentStart(segment: bigint): Lsn {
  return segment * SEGMENT_BYTES;
}

/** Distance of `lsn` from its segment's first byte. */
export function segmentOffset(lsn: Lsn): number {
  return Number(lsn % SEGMENT_BYTES);
}

/** Position of the first byte of the page that holds `lsn`. */
export function pageStart(lsn: Lsn): Lsn {
  return lsn - (lsn % PAGE_BYTES);
}

/** File name of a segment: 24 hex digits, such as `000000010000000000000001`. */
export function walSegmentName(segment: bigint, timeline = WAL_TIMELINE): string {
  const parts = [BigInt(timeline), segment / SEGMENTS_PER_ID, segment % SEGMENTS_PER_ID];
  return parts.map((part) => part.toString(16).toUpperCase().padStart(8, "0")).join("");
}

/** The reverse of {@link walSegmentName}; undefined for anything else, `.partial` and history files included. */
export function parseWalSegmentName(name: string): { readonly timeline: number; readonly segment: bigint } | undefined {
  const match = SEGMENT_NAME.exec(name);
  if (!match) return undefined;
  const low = BigInt(`0x${match[3]}`);
  if (low >= SEGMENTS_PER_ID) return undefined;
  return { timeline: Number.parseInt(match[1] ?? "", 16), segment: BigInt(`0x${match[2]}`) * SEGMENTS_PER_ID + low };
}

/**
 * Where a record can start at or after `lsn`: behind the page header when `lsn` is a page's first byte, else rounded up to
 * a multiple of 8 (contract: storage-protocols.md 2.3, 4).
 */
export function nextRecordPosition(lsn: Lsn): Lsn {
  const aligned = (lsn + 7n) & ~7n;
  if (aligned % SEGMENT_BYTES === 0n) return aligned + 40n;
  if (aligned % PAGE_BYTES === 0n) return aligned + 24n;
  return aligned;
}
