import type { Stats } from "node:fs";
import { open, realpath, stat } from "node:fs/promises";
import { replaceFile } from "../disk/atomic_file.ts";
import { errorCode } from "../errors/coded_error.ts";

/** The directory takes no new file from us, the owner cannot be kept, or the file itself is a mount point. */
const NOT_REPLACEABLE: ReadonlySet<string | undefined> = new Set(["EACCES", "EPERM", "EROFS", "EBUSY", "EXDEV"]);

/**
 * Writes another program's configuration file: atomically where that is possible, else in place. In Neon's image
 * `/etc/pgbouncer.ini` belongs to us and `/etc` does not. Mode, owner and symlinks of an existing file are kept; a new one
 * gets mode 0644, because its reader may run as somebody else.
 */
export async function replaceOrOverwrite(path: string, content: string): Promise<void> {
  const target = (await unlessMissing(realpath(path))) ?? path;
  const existing: Stats | undefined = await unlessMissing(stat(target));
  try {
    await replaceFile(target, content, {
      mode: existing === undefined ? 0o644 : existing.mode & 0o777,
      owner: existing,
    });
  } catch (error) {
    if (existing === undefined || !NOT_REPLACEABLE.has(errorCode(error))) throw error;
    await overwrite(target, content);
  }
}

async function overwrite(path: string, content: string): Promise<void> {
  const file = await open(path, "r+");
  try {
    await file.writeFile(content);
    await file.truncate(Buffer.byteLength(content));
    await file.sync();
  } finally {
    await file.close();
  }
}

async function unlessMissing<T>(found: Promise<T>): Promise<T | undefined> {
  try {
    return await found;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}
