import { formatLsn, type Lsn } from "../wire/lsn.ts";
import { decodePageHeader, LONG_PAGE_HEADER } from "../wire/wal/page_header.ts";
import type { WalRecord } from "../wire/wal/record.ts";
import { segmentNumber, segmentOffset, segmentStart, WAL_SEGMENT_SIZE } from "../wire/wal/segment.ts";
import { WalWalker, type WalWalkerOptions } from "../wire/wal/walker.ts";
import { WalReader } from "./wal_reader.ts";
import { damagedWal } from "./wal_segment_file.ts";
import type { WalSpans } from "./wal_span.ts";

/** Small enough that other work gets its turn: checking this much takes about a millisecond. */
const PIECE = 256 * 1024;

export interface WalEnd {
  /** End of the last whole record. */
  readonly end: Lsn;
  /** Its start; undefined when there is no record behind the scan's start. */
  readonly lastRecordStart: Lsn | undefined;
}

export interface WalScan {
  readonly spans: WalSpans;
  /** Start of a record that is known to be whole. */
  readonly from: Lsn;
  /** What is known to be durable: records that end before it are damage, not the end of the log. */
  readonly atLeast: Lsn;
  /** Nothing from here on is read. */
  readonly until?: Lsn | undefined;
  readonly systemIdentifier: bigint;
  readonly magic: number | undefined;
  readonly keepBody?: WalWalkerOptions["keepBody"];
  /** Sees every whole record; true ends the scan, which then does not have to reach `atLeast`. */
  readonly onRecord?: (record: WalRecord) => boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Finds the end of a timeline's WAL by following every record from `from` (contract: storage-protocols.md 10.7). Throws
 * `damaged_file`, which names the segment, when the log breaks off before `atLeast`.
 */
export async function findWalEnd(scan: WalScan): Promise<WalEnd> {
  const { systemIdentifier, magic, keepBody, until, onRecord } = scan;
  const walker = new WalWalker(scan.from, { systemIdentifier, magic, ...(keepBody && { keepBody }) });
  const reader = new WalReader(scan.spans);
  let enough = false;
  const see =
    onRecord &&
    ((record: WalRecord): void => {
      // The rest of a piece that was read is walked too.
      if (!enough) enough = onRecord(record);
    });
  try {
    for (let at = scan.from; !walker.failure && !enough && (until === undefined || at < until); ) {
      scan.signal?.throwIfAborted();
      const start = segmentStart(segmentNumber(at));
      if (at === scan.from && at > start) {
        // The walker starts behind it, but Postgres checks it before it reads any other page of the segment.
        checkFirstPage(await reader.read(start, start + BigInt(LONG_PAGE_HEADER)), reader.path(start), start, scan);
      } else if (at === start && !(await reader.exists(at))) break;
      const room = WAL_SEGMENT_SIZE - segmentOffset(at);
      let end = at + BigInt(Math.min(PIECE, room));
      if (until !== undefined && end > until) end = until;
      walker.push(await reader.read(at, end), see);
      at = end;
    }
    if (walker.end < scan.atLeast && !enough) {
      const at = walker.failure?.at ?? walker.position;
      throw damagedWal(
        reader.path(at),
        `its WAL breaks off at ${formatLsn(at)} (${walker.failure?.reason ?? "the file is missing"}) although it must reach ${formatLsn(scan.atLeast)}`,
      );
    }
  } finally {
    await reader.close();
  }
  return { end: walker.end, lastRecordStart: walker.lastRecordStart };
}

function checkFirstPage(bytes: Buffer, path: string, start: Lsn, scan: WalScan): void {
  const header = decodePageHeader(bytes, start);
  if (typeof header === "string") throw damagedWal(path, header);
  if (header.systemIdentifier !== scan.systemIdentifier || (scan.magic !== undefined && header.magic !== scan.magic))
    throw damagedWal(path, "its first page belongs to another cluster");
}
