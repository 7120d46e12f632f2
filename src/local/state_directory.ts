import { chmod, chown, lstat, mkdir, readdir, realpath, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { syncDirectory } from "../disk/atomic_file.ts";
import { CodedError, errorCode } from "../errors/coded_error.ts";
import { createSettings, readSettings } from "./settings_file.ts";
import { type StateLayout, stateLayout } from "./state_layout.ts";

export interface OpenStateDirectoryOptions {
  /** Effective uid of this process. */
  readonly uid: number;
  /**
   * The user that runs Postgres when that is not ourselves: then it must be able to pass through to its data directories,
   * and only the directories that hold our own files are closed.
   */
  readonly postgresUser?: { readonly uid: number; readonly gid: number } | undefined;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
}

/** What may lie in a directory that a crash left between its creation and its settings file, and mount points have. */
const UNFINISHED = /^(\.neon-local\.json\..*\.tmp|lost\+found)$/;

/**
 * Opens a state directory, making it when it is not there: directories and their permissions, format check. Does not lock.
 *
 * @throws CodedError with exit 4 when the directory cannot be used; nothing is changed in one that is not ours.
 */
export async function openStateDirectory(path: string, options: OpenStateDirectoryOptions): Promise<StateLayout> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    // Every later comparison of paths, and the kernel's view of a process's directory, is about the real one.
    const layout = stateLayout(await realpath(path));
    if ((await readSettings(layout.settingsFile)) === undefined) {
      await refuseForeign(path);
      await createSettings(layout.settingsFile, options.now());
      await syncDirectory(dirname(layout.root));
    }
    await makeDirectories(layout, options);
    return layout;
  } catch (cause) {
    if (cause instanceof CodedError) throw cause;
    throw new CodedError("state_directory_unusable", `cannot use ${path} as state directory${hint(cause)}`, {
      exitCode: 4,
      cause,
    });
  }
}

/** Makes a directory that Postgres' user passes through, but that stays ours. */
export async function makePassableDirectory(path: string, options: OpenStateDirectoryOptions): Promise<void> {
  await makeDirectory(path, passable(options));
}

/** Makes a directory that Postgres' user writes to, and nobody else. */
export async function makePostgresDirectory(path: string, options: OpenStateDirectoryOptions): Promise<void> {
  await makeDirectory(path, 0o700);
  if (options.postgresUser) await chown(path, options.postgresUser.uid, options.postgresUser.gid);
}

async function makeDirectories(layout: StateLayout, options: OpenStateDirectoryOptions): Promise<void> {
  const closed = [layout.stateDir, layout.brokenDir, layout.runDir, layout.lockDir, layout.procsDir, layout.logsDir];
  // Somebody else's directory that root was pointed to keeps the permissions that its owner gave it.
  if ((await stat(layout.root)).uid === options.uid) await chmod(layout.root, passable(options));
  for (const each of closed) await makeDirectory(each, 0o700);
  for (const each of [layout.storagesDir, layout.pgsDir]) await makeDirectory(each, passable(options));
}

function passable(options: OpenStateDirectoryOptions): number {
  return options.postgresUser === undefined ? 0o700 : 0o711;
}

async function makeDirectory(path: string, mode: number): Promise<void> {
  await mkdir(path, { mode }).catch((error: unknown) => {
    if (errorCode(error) !== "EEXIST") throw error;
  });
  const found = await lstat(path);
  if (!found.isDirectory())
    throw new CodedError("state_directory_unusable", `${path} is not a directory`, { exitCode: 4 });
  if ((found.mode & 0o777) !== mode) await chmod(path, mode);
}

async function refuseForeign(path: string): Promise<void> {
  const names = (await readdir(path)).filter((name) => !UNFINISHED.test(name));
  if (names.length === 0) return;
  const what = names.includes("config")
    ? "holds a repository of neon_local"
    : "is not empty and holds no neon-local.json";
  throw new CodedError(
    "not_a_state_directory",
    `${path} ${what}: it is left alone; take another directory with --dir`,
    { exitCode: 4 },
  );
}

function hint(cause: unknown): string {
  switch (errorCode(cause)) {
    case "EACCES":
    case "EPERM":
      return " (no permission; take another with --dir)";
    case "EEXIST":
    case "ENOTDIR":
      return " (a file is in the way; take another with --dir)";
    default:
      return "";
  }
}
