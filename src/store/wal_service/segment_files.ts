import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  writevSync,
} from "node:fs";
import { join } from "node:path";
import { syncDirectorySync } from "../../disk/atomic_file_sync.ts";
import { parseWalSegmentName, WAL_SEGMENT_SIZE, walSegmentName } from "../../wire/wal/segment.ts";
import { damagedWal } from "../wal_segment_file.ts";

/** Begins the names of segments that are being made. */
const UNFINISHED = ".";
const BLOCK = 512;

export interface OpenSegment {
  readonly number: bigint;
  readonly file: number;
  /** Bytes from the start on that surely have their place on disk. */
  allocated: number;
}

export function temporarySegment(dir: string, segment: bigint): string {
  return join(dir, `${UNFINISHED}${walSegmentName(segment)}.${randomBytes(4).toString("hex")}.new`);
}

/** Opens a segment for writing; every write is durable when it returns (O_DSYNC). Makes a sparse one where there is none. */
export function openForWriting(dir: string, segment: bigint): OpenSegment {
  const path = join(dir, walSegmentName(segment));
  const flags = constants.O_RDWR | constants.O_DSYNC;
  let file: number;
  try {
    file = openSync(path, flags);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
    makeSparse(dir, segment, path);
    file = openSync(path, flags);
  }
  try {
    const { size, blocks } = fstatSync(file);
    if (size !== WAL_SEGMENT_SIZE) throw damagedWal(path, `it has ${size} bytes instead of ${WAL_SEGMENT_SIZE}`);
    return { number: segment, file, allocated: blocks * BLOCK >= size ? size : 0 };
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

/** Writes all buffers one behind the other, whatever the system takes at once. */
export function writeAll(file: number, buffers: readonly Uint8Array[], position: number): void {
  let left = [...buffers];
  for (let at = position; left.length > 0; ) {
    let written = writevSync(file, left, at);
    at += written;
    let done = 0;
    while (done < left.length && written >= (left[done]?.length ?? 0)) written -= left[done++]?.length ?? 0;
    left = left.slice(done);
    const first = left[0];
    if (written > 0 && first) left[0] = first.subarray(written);
  }
}

/** Fills from `start` on with zeros, durably, without touching what is zero already. */
export function zeroRest(segment: OpenSegment, start: number): void {
  const bytes = Buffer.allocUnsafe(1024 * 1024);
  const zeros = Buffer.alloc(bytes.length);
  for (let at = start; at < WAL_SEGMENT_SIZE; at += bytes.length) {
    const length = readSync(segment.file, bytes, 0, Math.min(bytes.length, WAL_SEGMENT_SIZE - at), at);
    const expected = zeros.subarray(0, length);
    if (!bytes.subarray(0, length).equals(expected)) writeAll(segment.file, [expected], at);
  }
}

/** Removes segments behind this one, then makes that durable. Removing them after what is before them was zeroed could let a stale one follow newer WAL. */
export function removeSegments(dir: string, isGone: (segment: bigint) => boolean): void {
  let removed = false;
  for (const name of readdirSync(dir)) {
    const parsed = parseWalSegmentName(name);
    if (!parsed || !isGone(parsed.segment)) continue;
    rmSync(join(dir, name));
    removed = true;
  }
  if (removed) syncDirectorySync(dir);
}

/** What a crash left half made. */
export function removeUnfinished(dir: string): void {
  for (const name of readdirSync(dir))
    if (name.startsWith(UNFINISHED) && name.endsWith(".new")) rmSync(join(dir, name), { force: true });
}

function makeSparse(dir: string, segment: bigint, path: string): void {
  const temporary = temporarySegment(dir, segment);
  try {
    const file = openSync(temporary, "wx", 0o600);
    try {
      ftruncateSync(file, WAL_SEGMENT_SIZE);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  syncDirectorySync(dir);
}
