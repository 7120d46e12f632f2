import { createHash, randomBytes } from "node:crypto";
import { constants, type Dirent } from "node:fs";
import { chmod, copyFile, lstat, mkdir, open, readdir, readlink, rename, rm, stat, symlink } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { syncDirectory } from "../disk/atomic_file.ts";
import { CodedError, errorCode } from "../errors/coded_error.ts";
import { canRead, unreachable } from "./access_of_user.ts";
import { ensureLibraryLinks } from "./embedded_links.ts";
import type { PostgresInstallation } from "./installation.ts";
import type { RunAs } from "./run_as.ts";

export interface CopyOptions {
  readonly env: NodeJS.ProcessEnv;
  /** `/var/cache/neon-local` unless told. */
  readonly cacheDirectory?: string;
}

/**
 * The same programs at a place that `runAs` can use: the installation as it is, or, when a directory above it keeps that
 * user out (a checkout in root's home), a copy in the cache directory, made once (contract: neon-local.md A15).
 *
 * @throws CodedError `postgres_unreachable` when only part of the installation could be moved with it.
 */
export async function usableBy(
  installation: PostgresInstallation,
  runAs: RunAs | undefined,
  options: CopyOptions,
): Promise<PostgresInstallation> {
  if (runAs === undefined) return installation;
  const obstacle = await firstObstacle(installation, runAs, options.env);
  if (obstacle === undefined) return installation;
  const root = dirname(installation.binDir);
  const inside = (path: string): boolean => path.startsWith(`${root}/`);
  if (!inside(installation.pkglibdir) || !inside(installation.sharedir)) {
    throw new CodedError(
      "postgres_unreachable",
      `user ${runAs.name} may not enter ${obstacle}, so the Postgres in ${installation.binDir} cannot run as that user;` +
        ` run \`chmod o+x ${obstacle}\` or name another Postgres with PG_BIN`,
    );
  }
  const cache = options.cacheDirectory ?? "/var/cache/neon-local";
  const copy = join(cache, `postgres-${installation.version}-${await fingerprint(installation)}`);
  if (!(await isDirectory(copy))) {
    await ensureOwnDirectory(cache);
    await makeCopy(installation, root, copy);
  }
  const moved = (path: string): string => join(copy, relative(root, path));
  return {
    ...installation,
    postgres: moved(installation.postgres),
    binDir: moved(installation.binDir),
    pkglibdir: moved(installation.pkglibdir),
    sharedir: moved(installation.sharedir),
  };
}

async function firstObstacle(
  installation: PostgresInstallation,
  runAs: RunAs,
  env: NodeJS.ProcessEnv,
): Promise<string | undefined> {
  for (const directory of [installation.binDir, installation.pkglibdir, installation.sharedir]) {
    const obstacle = await unreachable(runAs, directory, env);
    if (obstacle !== undefined) return obstacle;
    if (!(await canRead(runAs, directory))) return directory;
  }
  return undefined;
}

/** A rebuilt or reinstalled server gets a new copy. */
async function fingerprint(installation: PostgresInstallation): Promise<string> {
  const { size, mtimeMs } = await stat(installation.postgres);
  const facts = [installation.postgres, installation.buildId, size, mtimeMs].join("\n");
  return createHash("sha256").update(facts).digest("hex").slice(0, 12);
}

/** Programs are run from here: nobody else may be able to put one in. */
async function ensureOwnDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o755 });
  const found = await lstat(path);
  if (!found.isDirectory() || found.uid !== process.geteuid?.() || (found.mode & 0o022) !== 0) {
    throw new CodedError(
      "postgres_cache_unsafe",
      `${path} must be a directory that only its owner, this user, can write`,
    );
  }
  await chmod(path, 0o755);
}

async function makeCopy(installation: PostgresInstallation, root: string, copy: string): Promise<void> {
  const temporary = join(dirname(copy), `.${basename(copy)}.${randomBytes(6).toString("hex")}.tmp`);
  const target = (path: string): string => join(temporary, relative(root, path));
  try {
    await makeDirectory(temporary);
    await copyFiles(installation.binDir, target(installation.binDir), (name) => PROGRAMS.has(name));
    await copyTree(installation.pkglibdir, target(installation.pkglibdir));
    await copyTree(installation.sharedir, target(installation.sharedir));
    const libraries = join(root, "lib");
    if (await isDirectory(libraries))
      await copyFiles(libraries, join(temporary, "lib"), (name) => /\.(so|dylib)(\.|$)/.test(name));
    const links = join(root, "pg-symlinks.json");
    if (await isFile(links)) await copyOne(links, join(temporary, "pg-symlinks.json"));
    await ensureLibraryLinks(temporary);
    await publish(temporary, copy);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

const PROGRAMS = new Set([
  "postgres",
  "initdb",
  "pg_ctl",
  "pg_config",
  "pg_isready",
  "pg_controldata",
  "pg_waldump",
  "pg_resetwal",
  "pg_rewind",
  "pg_basebackup",
  "pg_receivewal",
  "pg_dump",
  "pg_dumpall",
  "pg_restore",
  "psql",
]);

/** Two processes may make the same copy: the one that comes second throws its own away. */
async function publish(temporary: string, copy: string): Promise<void> {
  await rename(temporary, copy).catch((error: unknown) => {
    const code = errorCode(error);
    if (code !== "ENOTEMPTY" && code !== "EEXIST") throw error;
  });
  await syncDirectory(dirname(copy));
}

async function copyTree(from: string, to: string): Promise<void> {
  await copyEntries(await readdir(from, { withFileTypes: true }), from, to);
}

async function copyFiles(from: string, to: string, wanted: (name: string) => boolean): Promise<void> {
  const entries = await readdir(from, { withFileTypes: true });
  await copyEntries(
    entries.filter((entry) => !entry.isDirectory() && wanted(entry.name)),
    from,
    to,
  );
}

async function copyEntries(entries: readonly Dirent[], from: string, to: string): Promise<void> {
  await makeDirectory(to);
  for (const entry of entries) {
    const source = join(from, entry.name);
    const target = join(to, entry.name);
    if (entry.isDirectory()) await copyTree(source, target);
    else if (entry.isSymbolicLink()) await copyLink(source, target);
    else if (entry.isFile()) await copyOne(source, target);
  }
  await syncDirectory(to);
}

/** A link inside one directory stays one; any other would lead out of the copy, so what it names is copied. */
async function copyLink(source: string, target: string): Promise<void> {
  const destination = await readlink(source);
  if (!destination.includes("/")) await symlink(destination, target);
  else if (await isDirectory(source)) await copyTree(source, target);
  else await copyOne(source, target);
}

async function copyOne(source: string, target: string): Promise<void> {
  await copyFile(source, target, constants.COPYFILE_FICLONE);
  const executable = ((await stat(source)).mode & 0o100) !== 0;
  await chmod(target, executable ? 0o755 : 0o644);
  // Once a machine; a copy of empty files after a power loss would be taken for a good one for ever.
  const file = await open(target, "r");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** The mode of mkdir passes through the umask. */
async function makeDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true });
  await chmod(path, 0o755);
}

async function isDirectory(path: string): Promise<boolean> {
  return await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

async function isFile(path: string): Promise<boolean> {
  return await stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}
