import { formatLsn, type Lsn } from "../wire/lsn.ts";
import { decodePageHeader, LONG_PAGE_HEADER } from "../wire/wal/page_header.ts";
import { segmentNumber, segmentOffset, segmentStart, WAL_SEGMENT_SIZE } from "../wire/wal/segment.ts";
import { WalWalker } from "../wire/wal/walker.ts";
import { damagedWal, openSegment, readRange, requireSegment } from "./wal_segment_file.ts";

const PIECE = 1024 * 1024;

export interface WalEnd {
  /** End of the last whole record. */
  readonly end: Lsn;
  /** Its start; undefined when there is no record behind the scan's start. */
  readonly lastRecordStart: Lsn | undefined;
}

export interface WalScan {
  /** Where a segment lies. */
  readonly segment: (segment: bigint) => string;
  /** Start of a record that is known to be whole. */
  readonly from: Lsn;
  /** What is known to be durable: records that end before it are damage, not the end of the log. */
  readonly atLeast: Lsn;
  readonly systemIdentifier: bigint;
  readonly magic: number | undefined;
}

/**
 * Finds the end of a timeline's WAL by following every record from `from` (contract: storage-protocols.md 10.7). Throws
 * `damaged_file`, which names the segment, when the log breaks off before `atLeast`.
 */
export async function findWalEnd(scan: WalScan): Promise<WalEnd> {
  const walker = new WalWalker(scan.from, { systemIdentifier: scan.systemIdentifier, magic: scan.magic });
  for (let segment = segmentNumber(scan.from); !walker.failure; segment++) {
    const path = scan.segment(segment);
    const file = segment === segmentNumber(scan.from) ? await requireSegment(path) : await openSegment(path);
    if (!file) break;
    try {
      const from = segment === segmentNumber(scan.from) ? segmentOffset(scan.from) : 0;
      if (from > 0) checkFirstPage(await readRange(file, path, 0, LONG_PAGE_HEADER), path, segment, scan);
      for (let at = from; at < WAL_SEGMENT_SIZE && !walker.failure; at += PIECE)
        walker.push(await readRange(file, path, at, Math.min(at + PIECE, WAL_SEGMENT_SIZE)));
    } finally {
      await file.close();
    }
  }
  if (walker.end < scan.atLeast) {
    const at = walker.failure?.at ?? walker.position;
    throw damagedWal(
      scan.segment(segmentNumber(at)),
      `its WAL breaks off at ${formatLsn(at)} (${walker.failure?.reason ?? "the file is missing"}) although it must reach ${formatLsn(scan.atLeast)}`,
    );
  }
  return { end: walker.end, lastRecordStart: walker.lastRecordStart };
}

/** The walker starts behind it, but Postgres checks it before it reads any other page of the segment. */
function checkFirstPage(bytes: Buffer, path: string, segment: bigint, scan: WalScan): void {
  const header = decodePageHeader(bytes, segmentStart(segment));
  if (typeof header === "string") throw damagedWal(path, header);
  if (header.systemIdentifier !== scan.systemIdentifier || (scan.magic !== undefined && header.magic !== scan.magic))
    throw damagedWal(path, "its first page belongs to another cluster");
}
