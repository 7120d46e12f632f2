import { randomBytes } from "node:crypto";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** Who owns a file that root writes for a Postgres that runs as another user. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export interface AtomicFileOptions {
  /** Permission bits; 0600 unless told. */
  readonly mode?: number;
  readonly owner?: Owner | undefined;
  /** False skips both fsyncs: for files whose loss with the machine does not matter. */
  readonly durable?: boolean;
}

/**
 * Replaces a file so that every reader, and every crash, sees the old content or the new one: temporary file in the same
 * directory, fsync, rename, fsync of the directory. On failure the old file stands and the temporary one is gone.
 */
export async function replaceFile(
  path: string,
  content: string | Uint8Array,
  options: AtomicFileOptions = {},
): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString("hex")}.tmp`);
  const durable = options.durable ?? true;
  let file: FileHandle | undefined;
  try {
    file = await open(temporary, "wx", options.mode ?? 0o600);
    if (options.owner) await file.chown(options.owner.uid, options.owner.gid);
    await file.writeFile(content);
    // The creation mode passed through the umask.
    await file.chmod(options.mode ?? 0o600);
    if (durable) await file.sync();
    await file.close();
    file = undefined;
    await rename(temporary, path);
  } catch (error) {
    await file?.close();
    await rm(temporary, { force: true });
    throw error;
  }
  if (durable) await syncDirectory(dirname(path));
}

/** Makes created, renamed and removed names in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
