import { closeSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { CodedError, errorCode } from "../../errors/coded_error.ts";
import { formatLsn, type Lsn } from "../../wire/lsn.ts";
import {
  decodePageHeader,
  FIRST_IS_CONTINUATION,
  LONG_PAGE_HEADER,
  pageHeaderSize,
} from "../../wire/wal/page_header.ts";
import {
  pageStart,
  segmentNumber,
  segmentOffset,
  segmentStart,
  WAL_PAGE_SIZE,
  walSegmentName,
} from "../../wire/wal/segment.ts";
import { WalWalker } from "../../wire/wal/walker.ts";

const READ_BYTES = 1024 * 1024;
const PAGE = BigInt(WAL_PAGE_SIZE);

/** The WAL of a data directory whose server is gone, from an LSN that is known to be a record's end. */
export interface LocalTail {
  readonly start: Lsn;
  /** End of the last whole record; equal to the start when there is none behind it. */
  readonly end: Lsn;
}

/**
 * Finds out what a directory's WAL has behind `start`. A torn record at the end is normal after a crash, anything else that
 * cannot be read is damage: then nothing may be thrown away.
 *
 * @param began a record's start at or before `start`, from which on the directory's own server wrote
 * @throws CodedError `local_wal_damaged`
 */
export function findLocalTail(pgdata: string, start: Lsn, began: Lsn): LocalTail {
  using wal = new LocalSegments(pgdata);
  if (start > began) requireReaches(wal, start, began);
  const walker = new WalWalker(start);
  for (const bytes of wal.read(start)) {
    walker.push(bytes);
    if (walker.failure !== undefined) break;
  }
  // Where the server stopped writing nothing follows: it writes page by page, and no segment is used twice.
  const next = pageStart(walker.position) + PAGE;
  if (typeof wal.header(next) !== "string")
    throw damaged(pgdata, `no record can be read at ${formatLsn(walker.end)}, but there is WAL behind it`);
  return { start, end: walker.end };
}

/** The tail's bytes in pieces. */
export function* readLocalTail(pgdata: string, tail: LocalTail): Generator<Buffer> {
  using wal = new LocalSegments(pgdata);
  let left = tail.end - tail.start;
  for (const bytes of wal.read(tail.start)) {
    if (left <= 0n) return;
    yield Buffer.from(bytes.subarray(0, left < BigInt(bytes.length) ? Number(left) : bytes.length));
    left -= BigInt(bytes.length);
  }
}

/** Makes sure that the directory's own WAL leads up to `start`: an empty tail would look like a lost one. */
function requireReaches(wal: LocalSegments, start: Lsn, began: Lsn): void {
  const before = segmentNumber(start - 1n);
  // At a segment's start the one before may have been removed.
  if (!wal.has(before) && segmentNumber(start) !== before && wal.has(segmentNumber(start))) return;
  if (!wal.has(before)) throw damaged(wal.pgdata, `there is no segment ${walSegmentName(before)}`);
  const first = began >= segmentStart(before) ? began : firstRecord(wal, segmentStart(before), start);
  if (first >= start) return;
  const walker = new WalWalker(first);
  for (const bytes of wal.read(first)) {
    const wanted = start - walker.position;
    walker.push(wanted < BigInt(bytes.length) ? bytes.subarray(0, Number(wanted)) : bytes);
    if (walker.failure !== undefined || walker.position >= start) break;
  }
  if (walker.end !== start)
    throw damaged(
      wal.pgdata,
      `it ends at ${formatLsn(walker.end)} instead of ${formatLsn(start)}, up to which storage has it`,
    );
}

/** Where the first record of a segment begins: a record of the segment before may fill pages of it. */
function firstRecord(wal: LocalSegments, segment: Lsn, limit: Lsn): Lsn {
  for (let page = segment; page < limit; page += PAGE) {
    const header = wal.header(page);
    if (typeof header === "string") throw damaged(wal.pgdata, `${header} at ${formatLsn(page)}`);
    const behind = page + BigInt(pageHeaderSize(page));
    if ((header.info & FIRST_IS_CONTINUATION) === 0) return page;
    const end = (behind + BigInt(header.remaining) + 7n) & ~7n;
    if (end <= page + PAGE) return end;
  }
  return limit;
}

class LocalSegments implements Disposable {
  readonly pgdata: string;
  readonly #files = new Map<bigint, number | undefined>();

  constructor(pgdata: string) {
    this.pgdata = pgdata;
  }

  has(segment: bigint): boolean {
    return this.#open(segment) !== undefined;
  }

  header(page: Lsn): ReturnType<typeof decodePageHeader> {
    const file = this.#open(segmentNumber(page));
    if (file === undefined) return "no segment";
    const bytes = Buffer.alloc(LONG_PAGE_HEADER);
    const read = readSync(file, bytes, 0, bytes.length, segmentOffset(page));
    return decodePageHeader(bytes.subarray(0, read), page);
  }

  /** Everything from `from` on, until a file is missing; each piece is valid until the next one. */
  *read(from: Lsn): Generator<Buffer> {
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    for (let at = from; ; ) {
      const file = this.#open(segmentNumber(at));
      if (file === undefined) return;
      const left = segmentStart(segmentNumber(at) + 1n) - at;
      const wanted = left < BigInt(READ_BYTES) ? Number(left) : READ_BYTES;
      const read = readSync(file, buffer, 0, wanted, segmentOffset(at));
      if (read === 0) return;
      yield buffer.subarray(0, read);
      at += BigInt(read);
    }
  }

  #open(segment: bigint): number | undefined {
    if (!this.#files.has(segment)) this.#files.set(segment, this.#tryOpen(segment));
    return this.#files.get(segment);
  }

  #tryOpen(segment: bigint): number | undefined {
    try {
      return openSync(join(this.pgdata, "pg_wal", walSegmentName(segment)), "r");
    } catch (error) {
      if (errorCode(error) === "ENOENT") return undefined;
      throw error;
    }
  }

  [Symbol.dispose](): void {
    for (const file of this.#files.values()) if (file !== undefined) closeSync(file);
    this.#files.clear();
  }
}

function damaged(pgdata: string, what: string): CodedError {
  return new CodedError("local_wal_damaged", `the WAL in ${pgdata} is damaged: ${what}`);
}
