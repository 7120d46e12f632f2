import { join } from "node:path";
import type { Lsn } from "../wire/lsn.ts";
import { segmentNumber, walSegmentName } from "../wire/wal/segment.ts";

/** A stretch of a history and the directory whose segments hold it. */
interface WalSpan {
  readonly walDir: string;
  /** First byte that this directory is right about: 0, or the branch point. */
  readonly from: Lsn;
}

/**
 * Where the WAL of a history lies, oldest stretch first: a branch has segments of its own from the branch point on, what is
 * below comes from its ancestors (design.md 5). A span ends where the next one begins.
 */
export type WalSpans = readonly [WalSpan, ...WalSpan[]];

/** The file that holds the byte at `lsn`, and where the next file of the same segment takes over, if there is one. */
export function walFileAt(spans: WalSpans, lsn: Lsn): { readonly path: string; readonly until: Lsn | undefined } {
  let index = spans.length - 1;
  while (index > 0 && (spans[index]?.from ?? 0n) > lsn) index--;
  const span = spans[index] ?? spans[0];
  return { path: join(span.walDir, walSegmentName(segmentNumber(lsn))), until: spans[index + 1]?.from };
}
