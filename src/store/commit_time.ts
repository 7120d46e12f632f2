import type { Lsn } from "../wire/lsn.ts";
import { decodePageHeader, FIRST_IS_CONTINUATION, LONG_PAGE_HEADER } from "../wire/wal/page_header.ts";
import { commitTimestamp, isCommitRecord } from "../wire/wal/record.ts";
import { segmentNumber, segmentStart, WAL_PAGE_SIZE } from "../wire/wal/segment.ts";
import { WalReader } from "./wal_reader.ts";
import { findWalEnd } from "./wal_scan.ts";
import type { WalSpans } from "./wal_span.ts";

/** The readable part of a history. */
export interface ReadableHistory {
  readonly spans: WalSpans;
  /** Both are record boundaries. */
  readonly from: Lsn;
  readonly end: Lsn;
  readonly systemIdentifier: bigint;
  readonly magic: number | undefined;
  readonly signal: AbortSignal;
}

interface Commit {
  readonly end: Lsn;
  /** Microseconds since 2000-01-01 UTC. */
  readonly time: bigint;
}

/** What is known about a moment (contract: storage-protocols.md 7.2 `get_lsn_by_timestamp`). */
export interface LsnAtTime {
  readonly kind: "present" | "future" | "past" | "nodata";
  /** The state as of that moment; its nearest end when the moment lies outside. */
  readonly lsn: Lsn;
}

/**
 * The end of the last commit at or before a moment. Commits carry their time in nearly ascending order, so the segment is
 * found by halving, and only that one and its predecessor are read through.
 */
export async function lsnAtTime(history: ReadableHistory, time: bigint): Promise<LsnAtTime> {
  const first = await firstCommit(history, history.from, history.end);
  if (!first) return { kind: "nodata", lsn: history.from };
  if (first.time > time) return { kind: "past", lsn: history.from };
  // Of the positions in [low, high) the first is known to have a commit at or before the moment behind it.
  let low = history.from;
  let high = segmentNumber(history.end);
  while (segmentNumber(low) < high) {
    const middle = (segmentNumber(low) + high + 1n) / 2n;
    const start = await firstRecordOf(history, middle);
    const commit = start === undefined ? undefined : await firstCommit(history, start, history.end);
    if (start !== undefined && commit && commit.time <= time) low = start;
    else high = middle - 1n;
  }
  let last: Commit | undefined;
  let later: Commit | undefined;
  await eachCommit(history, low, history.end, (commit) => {
    if (commit.time > time) later = commit;
    else last = commit;
    return later !== undefined;
  });
  return later ? { kind: "present", lsn: last?.end ?? history.from } : { kind: "future", lsn: history.end };
}

/** Time of the last commit that the state at `lsn` holds, in microseconds since 2000-01-01 UTC; undefined without one. */
export async function timeAtLsn(history: ReadableHistory, lsn: Lsn): Promise<bigint | undefined> {
  for (let segment = segmentNumber(lsn); ; segment--) {
    const whole = segmentStart(segment) <= history.from;
    const start = whole ? history.from : await firstRecordOf(history, segment);
    let last: Commit | undefined;
    if (start !== undefined && start < lsn)
      await eachCommit(history, start, lsn, (commit) => {
        if (commit.end <= lsn) last = commit;
        return commit.end > lsn;
      });
    if (last || whole) return last?.time;
  }
}

async function firstCommit(history: ReadableHistory, from: Lsn, end: Lsn): Promise<Commit | undefined> {
  let first: Commit | undefined;
  await eachCommit(history, from, end, (commit) => {
    first = commit;
    return true;
  });
  return first;
}

async function eachCommit(
  { spans, systemIdentifier, magic, signal }: ReadableHistory,
  from: Lsn,
  until: Lsn,
  see: (commit: Commit) => boolean,
): Promise<void> {
  await findWalEnd({
    spans,
    from,
    atLeast: from,
    until,
    systemIdentifier,
    magic,
    signal,
    keepBody: isCommitRecord,
    onRecord: (record) => {
      const time = commitTimestamp(record);
      return time !== undefined && see({ end: record.end, time });
    },
  });
}

/** Where the first record that starts in a segment starts; undefined when a record fills it. */
async function firstRecordOf({ spans }: ReadableHistory, segment: bigint): Promise<Lsn | undefined> {
  const start = segmentStart(segment);
  const reader = new WalReader(spans);
  try {
    if (!(await reader.exists(start))) return undefined;
    const header = decodePageHeader(await reader.read(start, start + BigInt(LONG_PAGE_HEADER)), start);
    if (typeof header === "string") return undefined;
    if (!(header.info & FIRST_IS_CONTINUATION)) return start;
    return endOfContinuation(start, header.remaining);
  } finally {
    await reader.close();
  }
}

/** Where a record ends that has this many bytes left at a segment's start; undefined when that is not in the segment. */
function endOfContinuation(start: Lsn, remaining: number): Lsn | undefined {
  const inFirst = WAL_PAGE_SIZE - LONG_PAGE_HEADER;
  const perPage = WAL_PAGE_SIZE - 24;
  const rest = Math.max(0, remaining - inFirst);
  const at =
    rest === 0
      ? LONG_PAGE_HEADER + remaining
      : Math.ceil(rest / perPage) * WAL_PAGE_SIZE + 24 + (rest - (Math.ceil(rest / perPage) - 1) * perPage);
  const end = start + BigInt(Math.ceil(at / 8) * 8);
  return segmentNumber(end) === segmentNumber(start) ? end : undefined;
}
