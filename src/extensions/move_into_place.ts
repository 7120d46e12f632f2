import { chmodSync, copyFileSync, lstatSync, mkdirSync, readlinkSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { errorCode } from "../errors/coded_error.ts";
import type { ArchivePlace } from "./archive_entry.ts";

export interface StagedPath extends ArchivePlace {
  readonly kind: "file" | "directory";
}

/** Moves one file, replacing an older one atomically, or makes a directory that is not there yet. */
export function moveIntoPlace(from: string, to: string, kind: StagedPath["kind"]): void {
  if (kind === "directory") {
    // The creation mode passes through the umask, and Postgres may run as somebody else.
    if (mkdirSync(to, { recursive: true }) !== undefined) chmodSync(to, 0o755);
    return;
  }
  try {
    renameSync(from, to);
  } catch (error) {
    // A directory below the destination may be a mount point.
    if (errorCode(error) !== "EXDEV") throw error;
    const near = join(dirname(to), `.${basename(to)}.compute_ctl`);
    rmSync(near, { force: true });
    if (lstatSync(from).isSymbolicLink()) symlinkSync(readlinkSync(from), near);
    else copyFileSync(from, near);
    renameSync(near, to);
  }
}
