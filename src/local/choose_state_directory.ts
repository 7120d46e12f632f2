import { lstat, stat } from "node:fs/promises";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { CodedError, errorCode } from "../errors/coded_error.ts";

export interface ChooseStateDirectoryOptions {
  /** `--dir`. */
  readonly dir?: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  /** Working directory, absolute. */
  readonly cwd: string;
  /** Effective uid of this process. */
  readonly uid: number;
  /** Where root's state lies when nothing else decides; tests put it elsewhere. */
  readonly rootDefault?: string;
}

export interface ChosenStateDirectory {
  /** Absolute; need not exist. */
  readonly path: string;
  /** Sentences for people: why another directory than the expected one was taken. */
  readonly notes: readonly string[];
}

const SETTINGS = "neon-local.json";

/**
 * Chooses the state directory (contract: neon-local.md A4, A15): `--dir`, `NEON_LOCAL_DIR`, `NEON_REPO_DIR`, the nearest
 * directory above that holds one, else `.neon` here, as root `/var/lib/neon-local`. A `.neon` that belongs to Neon's cloud
 * CLI (a file) or to `neon_local` (it has a `config`) is left alone: `.neon-local` beside it is taken.
 *
 * @throws CodedError `usage` (exit 2) for a relative `NEON_REPO_DIR`.
 */
export async function chooseStateDirectory(options: ChooseStateDirectoryOptions): Promise<ChosenStateDirectory> {
  const { env, cwd } = options;
  const named = options.dir || env.NEON_LOCAL_DIR;
  if (named) return { path: resolve(cwd, named), notes: [] };
  if (env.NEON_REPO_DIR) {
    if (!isAbsolute(env.NEON_REPO_DIR))
      throw new CodedError("usage", `NEON_REPO_DIR must be an absolute path, it is ${env.NEON_REPO_DIR}`, {
        exitCode: 2,
      });
    return { path: resolve(env.NEON_REPO_DIR), notes: [] };
  }
  const notes: string[] = [];
  for (const directory of ancestors(cwd)) {
    for (const name of [".neon", ".neon-local"]) {
      const candidate = join(directory, name);
      const owner = await ownerOfSettings(candidate);
      if (owner === undefined) continue;
      // Whoever may write above us must not decide which programs and records we trust.
      if (owner === options.uid) return { path: candidate, notes };
      notes.push(`${candidate} belongs to another user and was passed over; name it with --dir to use it`);
    }
  }
  if (options.uid === 0) return { path: options.rootDefault ?? "/var/lib/neon-local", notes };
  const path = join(cwd, ".neon");
  const occupant = await occupantOf(path);
  if (occupant === undefined) return { path, notes };
  const instead = join(cwd, ".neon-local");
  return { path: instead, notes: [...notes, `${path} ${occupant} and is left alone: the state is in ${instead}`] };
}

/** Uid of the owner of a state directory's settings file; undefined when there is none. */
async function ownerOfSettings(directory: string): Promise<number | undefined> {
  try {
    return (await lstat(join(directory, SETTINGS))).uid;
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "EACCES"].includes(errorCode(error) ?? "")) return undefined;
    throw error;
  }
}

async function occupantOf(path: string): Promise<string | undefined> {
  const found = await lstat(path).catch(absent);
  if (found === undefined) return undefined;
  if (found.isFile()) return "is a file of Neon's cloud CLI";
  const config = await stat(join(path, "config")).catch(absent);
  return config === undefined ? undefined : "is a repository of neon_local";
}

function absent(error: unknown): undefined {
  if (["ENOENT", "ENOTDIR"].includes(errorCode(error) ?? "")) return undefined;
  throw error;
}

function ancestors(directory: string): string[] {
  const parent = dirname(directory);
  return parent === directory ? [directory] : [directory, ...ancestors(parent)];
}
