import { syncDirectory } from "../../disk/atomic_file.ts";
import type { Lsn } from "../../wire/lsn.ts";
import { WAL_PAGE_MAGIC } from "../../wire/wal/page_header.ts";
import { segmentNumber, segmentStart } from "../../wire/wal/segment.ts";
import { recordBoundary } from "../record_boundary.ts";
import { findWalEnd, type WalEnd } from "../wal_scan.ts";
import { openSegment } from "../wal_segment_file.ts";
import { walFileAt } from "../wal_span.ts";
import { removeUnfinished } from "./segment_files.ts";
import type { WalTimeline } from "./wal_timeline.ts";

/**
 * Where a timeline's WAL ends as its acceptor starts: a scan from the stored commit LSN, after all that it can find was made
 * durable, because a killed process leaves much in the page cache (contract: storage-protocols.md 5.7.2).
 *
 * @throws StoreError `damaged_file`
 */
export async function findDurableEnd(timeline: WalTimeline, commitLsn: Lsn): Promise<WalEnd> {
  await makeDurable(timeline, commitLsn);
  const found = await findWalEnd({ ...clusterOf(timeline), from: commitLsn, atLeast: commitLsn });
  return found.lastRecordStart === undefined ? await lastRecordBefore(timeline, found.end) : found;
}

/** The record that ends at an LSN where one is known to end. */
export async function lastRecordBefore(timeline: WalTimeline, end: Lsn): Promise<WalEnd> {
  const found = await recordBoundary({ ...clusterOf(timeline), lsn: end });
  return found.end === end ? found : { end, lastRecordStart: undefined };
}

function clusterOf({ spans, systemIdentifier, pgVersion }: WalTimeline) {
  return { spans, systemIdentifier, magic: WAL_PAGE_MAGIC[pgVersion] };
}

async function makeDurable({ walDir, spans }: WalTimeline, from: Lsn): Promise<void> {
  removeUnfinished(walDir);
  for (let at = from; ; at = segmentStart(segmentNumber(at) + 1n)) {
    const file = await openSegment(walFileAt(spans, at).path);
    if (!file) break;
    try {
      await file.sync();
    } finally {
      await file.close();
    }
  }
  await syncDirectory(walDir);
}
