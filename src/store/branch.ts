import { mkdir, open } from "node:fs/promises";
import { syncDirectory } from "../disk/atomic_file.ts";
import { formatLsn, type Lsn } from "../wire/lsn.ts";
import { segmentNumber, WAL_SEGMENT_SIZE } from "../wire/wal/segment.ts";
import { lsnOf } from "./image.ts";
import { timelineLayout } from "./layout.ts";
import { STORE_FORMAT, writeNewRecord } from "./record_file.ts";
import type { TimelineRecord } from "./timeline_record.ts";
import { newAcceptorFile } from "./wal_service/acceptor_file.ts";

/** `timeline.json` of a branch: the same cluster as its ancestor, no image of its own, WAL from the branch point on. */
export function branchRecord(ancestor: TimelineRecord, timelineId: string, lsn: Lsn, now: number): TimelineRecord {
  return {
    format: STORE_FORMAT,
    tenant_id: ancestor.tenant_id,
    timeline_id: timelineId,
    pg_version: ancestor.pg_version,
    build_id: ancestor.build_id,
    system_identifier: ancestor.system_identifier,
    ancestor_timeline_id: ancestor.timeline_id,
    ancestor_lsn: formatLsn(lsn),
    start_lsn: formatLsn(lsn),
    images: [],
    created_at: new Date(now).toISOString(),
  };
}

/**
 * Writes a branch's files into an empty directory, durably. Nothing is copied: of the segment that holds the branch point
 * only what comes later will be written here, what is below is read from the ancestor.
 */
export async function fillBranch(dir: string, record: TimelineRecord): Promise<void> {
  const layout = timelineLayout(dir);
  await Promise.all([mkdir(layout.walDir), mkdir(layout.imagesDir)]);
  await Promise.all([
    makeSegment(layout.segment(segmentNumber(lsnOf(record.start_lsn)))),
    writeNewRecord(layout.acceptorFile, newAcceptorFile(record)),
    writeNewRecord(layout.timelineFile, record),
  ]);
  await syncDirectory(layout.walDir);
}

async function makeSegment(path: string): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await file.truncate(WAL_SEGMENT_SIZE);
    await file.sync();
  } finally {
    await file.close();
  }
}
