import { chown, constants, copyFile, open } from "node:fs/promises";
import { join } from "node:path";
import type { Owner } from "../disk/atomic_file.ts";
import { errorCode } from "../errors/coded_error.ts";

/**
 * Gives a base backup of an old pageserver the name that today's servers look for: `zenith.signal` is copied to
 * `neon.signal` when only the former exists (contract: postgres-config.md 6).
 *
 * @returns whether it was copied
 */
export async function ensureNeonSignal(pgdata: string, owner: Owner | undefined): Promise<boolean> {
  const target = join(pgdata, "neon.signal");
  try {
    await copyFile(join(pgdata, "zenith.signal"), target, constants.COPYFILE_EXCL);
  } catch (error) {
    if (errorCode(error) === "EEXIST" || errorCode(error) === "ENOENT") return false;
    throw error;
  }
  if (owner) await chown(target, owner.uid, owner.gid);
  return true;
}

/** Makes Postgres start as a standby: an empty `standby.signal`, unless there is one. */
export async function ensureStandbySignal(pgdata: string, owner: Owner | undefined): Promise<void> {
  try {
    const file = await open(join(pgdata, "standby.signal"), "wx", 0o600);
    try {
      if (owner) await file.chown(owner.uid, owner.gid);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (errorCode(error) !== "EEXIST") throw error;
  }
}
