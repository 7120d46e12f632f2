import { statfsSync } from "node:fs";
import { chmod, chown, mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Owner } from "../../src/disk/atomic_file.ts";

/** A directory that is removed with everything in it: `await using directory = await temporaryDirectory()`. */
export interface TemporaryDirectory extends AsyncDisposable {
  readonly path: string;
  [Symbol.asyncDispose](): Promise<void>;
}

const MEMORY = "/dev/shm";

/** Where a thousand files of a data directory are made in no time: memory where there is plenty, else the usual place. */
export function scratchRoot(): string {
  if (process.env.TMPDIR !== undefined) return tmpdir();
  try {
    const { bavail, bsize } = statfsSync(MEMORY);
    return bavail * bsize > 4 * 1024 ** 3 ? MEMORY : tmpdir();
  } catch {
    return tmpdir();
  }
}

/**
 * Makes an empty directory. With an owner (the user that runs Postgres while we are root) it belongs to that user. Every
 * user may enter it unless `mode` says otherwise. It lies in the system's directory for such unless `root` says otherwise.
 */
export async function temporaryDirectory(
  options: { readonly owner?: Owner | undefined; readonly mode?: number; readonly root?: string } = {},
): Promise<TemporaryDirectory> {
  const path = await realpath(await mkdtemp(join(options.root ?? tmpdir(), "neon-local-test-")));
  await chmod(path, options.mode ?? 0o755);
  if (options.owner) await chown(path, options.owner.uid, options.owner.gid);
  return {
    path,
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 5 }),
  };
}
