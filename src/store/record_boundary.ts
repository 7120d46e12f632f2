import type { Lsn } from "../wire/lsn.ts";
import { decodePageHeader, FIRST_IS_CONTINUATION, LONG_PAGE_HEADER, pageHeaderSize } from "../wire/wal/page_header.ts";
import { pageStart, segmentNumber, segmentStart, WAL_PAGE_SIZE, WAL_SEGMENT_SIZE } from "../wire/wal/segment.ts";
import { WalWalker } from "../wire/wal/walker.ts";
import { WalReader } from "./wal_reader.ts";
import type { WalEnd } from "./wal_scan.ts";
import type { WalSpans } from "./wal_span.ts";

export interface BoundarySearch {
  readonly spans: WalSpans;
  readonly lsn: Lsn;
  /** A record boundary below which no WAL is kept; without one only so far is looked back as any usual record reaches. */
  readonly lowest?: Lsn | undefined;
  readonly systemIdentifier: bigint;
  readonly magic: number | undefined;
}

const LOOK_BACK = 2n * BigInt(WAL_SEGMENT_SIZE);

/**
 * The last record that ends at or before `lsn`: what lies behind it in the WAL is not part of the state at `lsn`. Page
 * headers tell where a page's first record starts, so only a page or two are read, unless a record is very large.
 */
export async function recordBoundary(search: BoundarySearch): Promise<WalEnd> {
  const { lsn } = search;
  const lowest = search.lowest ?? (lsn > LOOK_BACK ? pageStart(lsn - LOOK_BACK) : 0n);
  const reader = new WalReader(search.spans);
  try {
    for (let page = pageStart(lsn - 1n); page >= pageStart(lowest); page -= BigInt(WAL_PAGE_SIZE)) {
      const first = await firstRecord(reader, page);
      const start = first === undefined || first >= lowest ? first : lowest;
      if (start === undefined || start >= lsn) continue;
      const found = await lastEndingBefore(reader, start, search);
      if (found.lastRecordStart !== undefined) return found;
    }
    return { end: search.lowest ?? lsn, lastRecordStart: undefined };
  } finally {
    await reader.close();
  }
}

/** Where the first record that starts in a page starts; undefined when none does. */
async function firstRecord(reader: WalReader, page: Lsn): Promise<Lsn | undefined> {
  if (!(await reader.exists(page))) return undefined;
  const header = decodePageHeader(await reader.read(page, page + BigInt(LONG_PAGE_HEADER)), page);
  if (typeof header === "string") return undefined;
  const behind = page + BigInt(pageHeaderSize(page));
  if (!(header.info & FIRST_IS_CONTINUATION)) return behind;
  const start = behind + ((BigInt(header.remaining) + 7n) & ~7n);
  return start < page + BigInt(WAL_PAGE_SIZE) ? start : undefined;
}

async function lastEndingBefore(reader: WalReader, start: Lsn, search: BoundarySearch): Promise<WalEnd> {
  const { lsn, systemIdentifier, magic } = search;
  const walker = new WalWalker(start, { systemIdentifier, magic });
  let last: WalEnd = { end: start, lastRecordStart: undefined };
  for (let at = start; at < lsn && !walker.failure; ) {
    const segmentEnd = segmentStart(segmentNumber(at) + 1n);
    let end = at + 65_536n;
    if (end > segmentEnd) end = segmentEnd;
    if (end > lsn) end = lsn;
    if (!(await reader.exists(at))) break;
    walker.push(await reader.read(at, end), (record) => {
      if (record.end <= lsn) last = { end: record.end, lastRecordStart: record.start };
    });
    at = end;
  }
  return last;
}
