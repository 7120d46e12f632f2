import { type FileHandle, open } from "node:fs/promises";
import { errorCode } from "../errors/coded_error.ts";
import { WAL_SEGMENT_SIZE } from "../wire/wal/segment.ts";
import { damagedFile } from "./store_error.ts";

const REMEDY = "put it back from a copy of the store, or delete the timeline";

/** Opens a stored segment, which always has its full size. Undefined when there is none. */
export async function openSegment(path: string): Promise<FileHandle | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
  try {
    const { size } = await file.stat();
    if (size !== WAL_SEGMENT_SIZE)
      throw damagedFile(path, `it has ${size} bytes instead of ${WAL_SEGMENT_SIZE}`, REMEDY);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** As {@link openSegment}, but a missing segment is damage. */
export async function requireSegment(path: string): Promise<FileHandle> {
  const file = await openSegment(path);
  if (!file) throw damagedFile(path, "it is missing", REMEDY);
  return file;
}

export function damagedWal(path: string, problem: string): Error {
  return damagedFile(path, problem, REMEDY);
}

/** Reads exactly the bytes from `start` to `end` of an open segment. */
export async function readRange(file: FileHandle, path: string, start: number, end: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(end - start);
  for (let filled = 0; filled < bytes.length; ) {
    const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, start + filled);
    if (bytesRead === 0) throw damagedWal(path, `it ends at byte ${start + filled}`);
    filled += bytesRead;
  }
  return bytes;
}
