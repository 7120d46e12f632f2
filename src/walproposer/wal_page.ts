import type { Lsn } from "../wire/lsn.ts";

const PAGE_BYTES = 8192n;
/** First page of a segment. */
const LONG_HEADER_BYTES = 40n;
const SHORT_HEADER_BYTES = 24n;

/** Where a record at this position really starts: behind the page header when the position is a page boundary. */
export function skipPageHeader(lsn: Lsn, walSegSize: number): Lsn {
  if (lsn % BigInt(walSegSize) === 0n) return lsn + LONG_HEADER_BYTES;
  return lsn % PAGE_BYTES === 0n ? lsn + SHORT_HEADER_BYTES : lsn;
}
