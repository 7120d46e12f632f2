import { type BigIntStats, constants } from "node:fs";
import { lstat, mkdir, open, readdir, readFile, rm, stat, unlink, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Owner } from "../disk/atomic_file.ts";
import { CodedError, errorCode } from "../errors/coded_error.ts";
import { OVERRIDE_FILE } from "./postgresql_conf.ts";
import { isLivePostmaster, parsePostmasterPid } from "./postmaster_pid.ts";
import type { ReadProcess } from "./read_process.ts";

/** Stands in a directory from the moment we claim it: whatever else is missing then, it is known to be ours. */
export const OWN_MARKER = "compute_ctl.pgdata";

/** The file system's own directory on a mount point. */
const LOST_AND_FOUND = "lost+found";

/** What makes a directory recognisable as PGDATA, also as one that we had only begun to prepare. */
const SIGNS_OF_PGDATA: readonly string[] = ["PG_VERSION", "postgresql.conf", OWN_MARKER];

/**
 * What would start a server, or steer it, before the base backup is complete. First what no server starts without;
 * `postgresql.auto.conf` is among them because `postgres --sync-safekeepers` reads it before the base backup comes.
 */
const REMOVED_AT_ONCE: readonly string[] = [
  "global/pg_control",
  "PG_VERSION",
  "postmaster.pid",
  "backup_label",
  "tablespace_map",
  "standby.signal",
  "recovery.signal",
  "neon.signal",
  "zenith.signal",
  "postgresql.auto.conf",
  OVERRIDE_FILE,
];

export interface ClaimOptions {
  /** Who runs Postgres, when that is not us. */
  readonly owner?: Owner | undefined;
  /** `$HOME`, which is never taken. */
  readonly home?: string | undefined;
  readonly readProcess: ReadProcess;
}

/**
 * Makes `path` a directory of mode 0700 that no server can be started from, and that {@link removeStale} may be let loose
 * on (contract: lifecycle.md 7.1). What it held is lost with this call, but most of it is left for the unpacker to
 * overwrite, which is many times faster than deleting and making a thousand files anew. The directory itself is kept, so
 * a mount point is as good as any other. A symlink at `path` is replaced, its target left alone.
 *
 * Throws `pgdata_refused` for a directory that was never PGDATA, `pgdata_in_use` for a running server's,
 * `pgdata_parent_missing`, and `pgdata_unusable` for what the system refuses.
 *
 * Nothing is synced: after a crash of the machine the next start comes through here again.
 */
export async function claimDirectory(path: string, options: ClaimOptions): Promise<void> {
  const pgdata = resolve(path);
  try {
    await guard(pgdata, options);
    await makeDirectory(pgdata);
    await takeOver(pgdata, options.owner);
  } catch (error) {
    if (error instanceof CodedError) throw error;
    throw new CodedError("pgdata_unusable", `could not prepare the data directory ${pgdata}`, { cause: error });
  }
}

/**
 * Removes everything from a claimed directory whose path, relative to it and with `/`, is not in `keep`, but for the mark
 * of {@link claimDirectory}. The directories above a kept path are kept. Symlinks are removed, never followed. Calling it
 * again, after another try of the base backup, is fine.
 * Throws `pgdata_not_claimed` for a directory without the mark.
 */
export async function removeStale(path: string, keep: ReadonlySet<string>): Promise<void> {
  const pgdata = resolve(path);
  if (!(await lstatOrUndefined(join(pgdata, OWN_MARKER)))) {
    throw new CodedError(
      "pgdata_not_claimed",
      `${pgdata} was not claimed for a base backup: nothing is removed from it`,
    );
  }
  const kept = new Set([OWN_MARKER, LOST_AND_FOUND]);
  for (const name of keep) {
    for (let rest = name.replace(/^\.\//, "").replace(/\/+$/, ""); rest !== "" && !kept.has(rest); ) {
      kept.add(rest);
      rest = rest.slice(0, Math.max(0, rest.lastIndexOf("/")));
    }
  }
  await removeAllBut(pgdata, "", kept);
}

async function removeAllBut(pgdata: string, prefix: string, kept: ReadonlySet<string>): Promise<void> {
  const entries = await readdir(join(pgdata, prefix), { withFileTypes: true });
  await Promise.all(
    entries.map(async (entry) => {
      const relative = prefix + entry.name;
      if (!kept.has(relative)) await rm(join(pgdata, relative), { recursive: true, force: true });
      else if (entry.isDirectory() && relative !== LOST_AND_FOUND) await removeAllBut(pgdata, `${relative}/`, kept);
    }),
  );
}

async function guard(pgdata: string, options: ClaimOptions): Promise<void> {
  const found = await lstatOrUndefined(pgdata);
  if (!found) return;
  // Through a symlink too: the link may go, but not from under a running server.
  await refuseLiveServer(pgdata, options.readProcess);
  if (found.isSymbolicLink()) return;
  if (!found.isDirectory()) {
    throw new CodedError("pgdata_refused", `${pgdata} is not a directory: remove it, or name another data directory`);
  }
  for (const forbidden of ["/", options.home]) {
    const other = forbidden ? await statOrUndefined(forbidden) : undefined;
    if (other && other.dev === found.dev && other.ino === found.ino) {
      throw new CodedError(
        "pgdata_refused",
        `${pgdata} cannot be the data directory, it would be emptied: name one of its own`,
      );
    }
  }
  const names = new Set(await readdir(pgdata));
  const isEmpty = [...names].every((name) => name === LOST_AND_FOUND || name === OVERRIDE_FILE);
  if (!isEmpty && !SIGNS_OF_PGDATA.some((name) => names.has(name))) {
    throw new CodedError(
      "pgdata_refused",
      `${pgdata} is not empty and was never a data directory: empty it yourself, or name another one`,
    );
  }
}

async function refuseLiveServer(pgdata: string, readProcess: ReadProcess): Promise<void> {
  let text: string;
  try {
    text = await readFile(join(pgdata, "postmaster.pid"), "utf8");
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "ELOOP"].includes(errorCode(error) ?? "")) return;
    throw error;
  }
  const file = parsePostmasterPid(text);
  if (file && (await isLivePostmaster(file, pgdata, readProcess))) {
    throw new CodedError(
      "pgdata_in_use",
      `a PostgreSQL server (pid ${file.pid}) runs in ${pgdata}: stop it, or name another data directory`,
    );
  }
}

async function makeDirectory(pgdata: string): Promise<void> {
  if ((await lstatOrUndefined(pgdata))?.isSymbolicLink()) await unlink(pgdata);
  try {
    await mkdir(pgdata, 0o700);
  } catch (error) {
    if (errorCode(error) === "EEXIST") return;
    if (errorCode(error) !== "ENOENT" && errorCode(error) !== "ENOTDIR") throw error;
    throw new CodedError(
      "pgdata_parent_missing",
      `the directory above the data directory ${pgdata} does not exist: create it first`,
      { cause: error },
    );
  }
}

async function takeOver(pgdata: string, owner: Owner | undefined): Promise<void> {
  const directory = await open(pgdata, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    await directory.chmod(0o700);
    if (owner) await directory.chown(owner.uid, owner.gid);
  } finally {
    await directory.close();
  }
  // First of all the mark: a crash from here on leaves something that the next start recognises.
  const marker = join(pgdata, OWN_MARKER);
  if (!(await lstatOrUndefined(marker))?.isFile()) {
    await rm(marker, { recursive: true, force: true });
    await writeFile(marker, "This directory belongs to compute_ctl, which empties it at every start.\n", {
      flag: "wx",
      mode: 0o600,
    });
  }
  // Behind a symlink the files are somebody else's.
  const global = join(pgdata, "global");
  if ((await lstatOrUndefined(global))?.isDirectory() === false) await unlink(global);
  for (const name of REMOVED_AT_ONCE) await rm(join(pgdata, name), { recursive: true, force: true });
}

async function lstatOrUndefined(path: string): Promise<BigIntStats | undefined> {
  return lstat(path, { bigint: true }).catch(undefinedIfMissing);
}

async function statOrUndefined(path: string): Promise<BigIntStats | undefined> {
  return stat(path, { bigint: true }).catch(undefinedIfMissing);
}

function undefinedIfMissing(error: unknown): undefined {
  if (errorCode(error) !== "ENOENT" && errorCode(error) !== "ENOTDIR") throw error;
}
