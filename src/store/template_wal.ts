import { type FileHandle, open } from "node:fs/promises";
import { syncDirectory } from "../disk/atomic_file.ts";
import { formatLsn, type Lsn } from "../wire/lsn.ts";
import { LONG_PAGE_HEADER, patchSystemIdentifier } from "../wire/wal/page_header.ts";
import {
  pageStart,
  segmentNumber,
  segmentOffset,
  segmentStart,
  WAL_PAGE_SIZE,
  WAL_SEGMENT_SIZE,
} from "../wire/wal/segment.ts";
import { CHUNK_SIZE } from "./chunk.ts";
import type { ChunkStore } from "./chunk_store.ts";
import { lsnOf } from "./image.ts";
import type { TimelineLayout } from "./layout.ts";
import type { TemplateWal } from "./template_record.ts";
import { readRange, requireSegment } from "./wal_segment_file.ts";

/**
 * Stores the WAL that recovery reads from `redo` to `end`: the first header of each segment, which Postgres checks before
 * anything else in it, and the pages from that of `redo` on. What initdb wrote before is in the image already, and leaving
 * it out makes young timelines small.
 */
export async function captureWal(
  segmentPath: (segment: bigint) => string,
  redo: Lsn,
  end: Lsn,
  chunks: ChunkStore,
): Promise<TemplateWal> {
  const wal: TemplateWal = [];
  for (let segment = segmentNumber(redo); segmentStart(segment) < end; segment++) {
    const path = segmentPath(segment);
    const file = await requireSegment(path);
    try {
      const start = segmentStart(segment);
      const from = start > redo ? 0 : segmentOffset(pageStart(redo));
      const to = Number(end - start < BigInt(WAL_SEGMENT_SIZE) ? end - start : BigInt(WAL_SEGMENT_SIZE));
      const store = async (at: number, until: number): Promise<void> => {
        const chunk = await chunks.put(await readRange(file, path, at, until));
        wal.push({ at: formatLsn(start + BigInt(at)), chunk });
      };
      if (from >= WAL_PAGE_SIZE) await store(0, LONG_PAGE_HEADER);
      for (let at = from; at < to; at += CHUNK_SIZE) await store(at, Math.min(at + CHUNK_SIZE, to));
    } finally {
      await file.close();
    }
  }
  return wal;
}

/** Writes stored WAL into a timeline's directory, as full-size segments of a cluster with this identifier. */
export async function installWal(
  wal: TemplateWal,
  chunks: ChunkStore,
  layout: TimelineLayout,
  systemIdentifier: bigint,
): Promise<void> {
  const files = new Map<bigint, FileHandle>();
  try {
    for (const { at, chunk } of wal) {
      const lsn = lsnOf(at);
      const segment = segmentNumber(lsn);
      let file = files.get(segment);
      if (!file) {
        file = await open(layout.segment(segment), "wx", 0o600);
        files.set(segment, file);
        await file.truncate(WAL_SEGMENT_SIZE);
      }
      const bytes = Buffer.from(await chunks.content(chunk));
      if (segmentOffset(lsn) === 0) patchSystemIdentifier(bytes, systemIdentifier);
      await file.write(bytes, 0, bytes.length, segmentOffset(lsn));
    }
    for (const file of files.values()) await file.sync();
  } finally {
    for (const file of files.values()) await file.close();
  }
  await syncDirectory(layout.walDir);
}
