import { closeSync, constants, fchmodSync, fchownSync, fstatSync, openSync, rmSync, type Stats } from "node:fs";
import type { Owner } from "../disk/atomic_file.ts";

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = constants;

export interface OpenedFile {
  readonly fd: number;
  /** More than the new content's size: the file must be cut afterwards. */
  readonly oldSize: number;
}

/**
 * Opens a file to be written from its beginning. A regular file with one link is overwritten in place, not truncated:
 * deleting and creating files on ext4 gets slower with every start (contract: stock-postgres.md 2). Everything else
 * (symlink, hard link, FIFO, directory, a file that we may not open) is removed and a new file made.
 *
 * @param fresh whatever stands there is removed
 */
export function openOverwriting(path: string, mode: number, owner: Owner | undefined, fresh: boolean): OpenedFile {
  const opened = fresh ? undefined : openExisting(path, mode);
  if (opened) {
    try {
      const stats = fstatSync(opened);
      if (stats.isFile() && stats.nlink === 1) {
        setAccess(opened, stats, mode, owner);
        return { fd: opened, oldSize: stats.size };
      }
    } catch (error) {
      closeSync(opened);
      throw error;
    }
    closeSync(opened);
  }
  rmSync(path, { recursive: true, force: true });
  const fd = openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
  try {
    setAccess(fd, fstatSync(fd), mode, owner);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return { fd, oldSize: 0 };
}

function openExisting(path: string, mode: number): number | undefined {
  try {
    // O_NONBLOCK: opening a FIFO would wait for its reader.
    return openSync(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK, mode);
  } catch {
    // Not to be opened for writing, whatever it is: the caller removes it, and reports what then still goes wrong.
    return undefined;
  }
}

function setAccess(fd: number, stats: Stats, mode: number, owner: Owner | undefined): void {
  if ((stats.mode & 0o7777) !== mode) fchmodSync(fd, mode);
  if (owner && (stats.uid !== owner.uid || stats.gid !== owner.gid)) fchownSync(fd, owner.uid, owner.gid);
}
