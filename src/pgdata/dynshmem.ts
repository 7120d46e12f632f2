import { createHash } from "node:crypto";
import { chmod, chown, lstat, mkdir, readdir, readFile, rm, symlink } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Owner } from "../disk/atomic_file.ts";
import { CodedError, errorCode } from "../errors/coded_error.ts";

/**
 * Whether Postgres' dynamic shared memory goes to files that are filled by writing: where the kernel does not overcommit,
 * segments could not exceed free RAM otherwise (contract: postgres-config.md 2.1 row 12, 7).
 *
 * @param overcommitMemory content of `/proc/sys/vm/overcommit_memory`, null when unreadable
 */
export function needsFileBackedSharedMemory(platform: NodeJS.Platform, overcommitMemory: string | null): boolean {
  return platform === "linux" && overcommitMemory?.trim() === "2";
}

/** The kernel's setting for {@link needsFileBackedSharedMemory}; null where it cannot be read. */
export async function readOvercommitMemory(path = "/proc/sys/vm/overcommit_memory"): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch {
    // Unreadable counts as "no": other systems have no such file.
    return null;
  }
}

/**
 * The compute's own directory on tmpfs. A Postgres that starts deletes every `mmap.*` of its directory, so two computes
 * on one machine must not share one: the first would refuse all sessions from then on.
 */
export function sharedMemoryDirectory(pgdata: string, tmpfs = "/dev/shm"): string {
  const hash = createHash("sha256").update(resolve(pgdata)).digest("hex").slice(0, 32);
  return join(tmpfs, `pg_dynshmem.${hash}`);
}

/**
 * Replaces `pg_dynshmem`, which the base backup brought, by a link to the compute's own directory on tmpfs (0700, made
 * here, emptied when a crashed compute left it). Call it only when {@link needsFileBackedSharedMemory} said so, and
 * {@link removeSharedMemory} after Postgres has exited.
 */
export async function linkSharedMemory(
  pgdata: string,
  owner: Owner | undefined,
  tmpfs: string | undefined = undefined,
): Promise<void> {
  const link = join(pgdata, "pg_dynshmem");
  try {
    await lstat(link);
  } catch (error) {
    throw new CodedError("incomplete_basebackup", `${link} is missing: the base backup is incomplete`, {
      cause: error,
    });
  }
  const directory = sharedMemoryDirectory(pgdata, tmpfs);
  await makePrivateDirectory(directory, owner);
  await rm(link, { recursive: true });
  await symlink(directory, link);
}

/** Removes what {@link linkSharedMemory} made on tmpfs; nothing to do is fine. */
export async function removeSharedMemory(pgdata: string, tmpfs?: string): Promise<void> {
  await rm(sharedMemoryDirectory(pgdata, tmpfs), { recursive: true, force: true });
}

/** tmpfs is open to everyone and the name can be guessed: a directory of somebody else is not taken over. */
async function makePrivateDirectory(path: string, owner: Owner | undefined): Promise<void> {
  try {
    await mkdir(path, 0o700);
  } catch (error) {
    if (errorCode(error) !== "EEXIST") throw error;
    const found = await lstat(path);
    if (!found.isDirectory() || (found.uid !== process.geteuid?.() && found.uid !== owner?.uid)) {
      throw new CodedError(
        "shared_memory_taken",
        `${path} belongs to another user: remove it, or give this compute another PGDATA`,
      );
    }
    for (const name of await readdir(path)) await rm(join(path, name), { recursive: true, force: true });
  }
  await chmod(path, 0o700);
  if (owner) await chown(path, owner.uid, owner.gid);
}
