import { access, constants, readdir, realpath } from "node:fs/promises";
import { basename, delimiter, dirname, join, resolve } from "node:path";
import { CodedError, errorCode } from "../errors/coded_error.ts";
import { linkedLibraries } from "./linked_libraries.ts";
import { runProgram } from "./run_program.ts";
import { type PostgresMajor, SUPPORTED_MAJORS } from "./supported_majors.ts";

export { type PostgresMajor, SUPPORTED_MAJORS };

/** One set of PostgreSQL programs on this machine; all paths are absolute, symbolic links resolved. */
export interface PostgresInstallation {
  readonly major: PostgresMajor;
  /** As the server prints it, without the packager's remark: `17.10`, `18beta1`. */
  readonly version: string;
  /** The server program itself. */
  readonly postgres: string;
  readonly binDir: string;
  /** Where loadable libraries lie (`pg_config --pkglibdir`). */
  readonly pkglibdir: string;
  /** Where `postgres.bki`, locale data and extension control files lie (`pg_config --sharedir`). */
  readonly sharedir: string;
  /** `neon` when `neon.so` lies in pkglibdir, else `stock` (contract: lifecycle.md 23). */
  readonly kind: "neon" | "stock";
  /**
   * What a data directory depends on besides its major: `17.10+icu60`, `15.18+icu72+lz4+zstd`. The same on every machine
   * that has this build; everything behind the first `+` must match for a directory to move between builds.
   */
  readonly buildId: string;
}

function isSupportedMajor(major: number): major is PostgresMajor {
  return (SUPPORTED_MAJORS as readonly number[]).includes(major);
}

/** `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` to version and major; undefined for any other text. */
export function parseVersion(output: string): { version: string; major: number } | undefined {
  const match = /\(PostgreSQL\) ((\d+)\S*)/.exec(output);
  return match?.[1] && match[2] ? { version: match[1], major: Number(match[2]) } : undefined;
}

/**
 * Finds out what `--pgbin` names. A bare name is looked up through `PATH`; the server program is run once (`--version`),
 * `pg_config` only when the usual layouts do not answer (contract: lifecycle.md 1.3).
 *
 * @throws CodedError `postgres_unusable` (exit 1): no such program, or it does not run;
 *   `postgres_unsupported` (exit 1): a major other than 14 to 18.
 */
export async function inspectInstallation(
  pgbin: string,
  options: { readonly env: NodeJS.ProcessEnv },
): Promise<PostgresInstallation> {
  const postgres = await realProgram(pgbin, options.env);
  const binDir = dirname(postgres);
  // Started first: the rest is done while it runs.
  const printed = printedVersion(postgres, options.env);
  const [version, pkglibdir, libraries] = await Promise.all([
    printed,
    findDirectory(binDir, "--pkglibdir", options.env, ["../lib/postgresql", "../lib"], "plpgsql"),
    linkedLibraries(postgres),
  ]);
  const debianShare = `/usr/share/postgresql/${version.major}`;
  const shares = [
    "../share/postgresql",
    "../share",
    ...(binDir.startsWith("/usr/lib/postgresql/") ? [debianShare] : []),
  ];
  const [sharedir, neon] = await Promise.all([
    findDirectory(binDir, "--sharedir", options.env, shares, "postgres.bki"),
    hasLibrary(pkglibdir, "neon"),
  ]);
  const kind = neon ? "neon" : "stock";
  const buildId = [version.version, ...buildFacts(libraries), ...(neon ? ["neon"] : [])].join("+");
  return { ...version, postgres, binDir, pkglibdir, sharedir, kind, buildId };
}

/**
 * Names of the libraries that `shared_preload_libraries` and `LOAD` can name, without `.so`/`.dylib`. Empty when the
 * directory does not exist.
 */
export async function availableLibraries(installation: PostgresInstallation): Promise<ReadonlySet<string>> {
  const names = await readdir(installation.pkglibdir).catch((error: unknown) => {
    if (errorCode(error) === "ENOENT") return [];
    throw error;
  });
  return new Set(names.filter((name) => LIBRARY.test(name)).map((name) => name.replace(LIBRARY, "")));
}

const LIBRARY = /\.(so|dylib)$/;

async function realProgram(pgbin: string, env: NodeJS.ProcessEnv): Promise<string> {
  const path = pgbin.includes("/") ? resolve(pgbin) : await searchPath(pgbin, env);
  if (path === undefined) throw unusable(pgbin, "no such program in any directory of PATH");
  try {
    return await realpath(path);
  } catch (error) {
    throw unusable(pgbin, "no such file", error);
  }
}

/** The first executable file of this name in the directories of `PATH`. */
export async function searchPath(name: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  for (const directory of (env.PATH ?? "").split(delimiter)) {
    const path = join(directory || ".", name);
    if (await exists(path, constants.X_OK)) return resolve(path);
  }
  return undefined;
}

async function printedVersion(
  postgres: string,
  env: NodeJS.ProcessEnv,
): Promise<{ version: string; major: PostgresMajor }> {
  const { code, stdout, stderr, failure, timedOut } = await runProgram(postgres, ["--version"], {
    env,
    timeoutMs: 20_000,
  });
  if (code !== 0) {
    throw unusable(
      postgres,
      stderr.trim() || (timedOut ? "--version does not return" : `it does not run (${failure ?? code})`),
    );
  }
  const parsed = parseVersion(stdout);
  if (!parsed)
    throw unusable(postgres, `it is no PostgreSQL server: --version printed ${JSON.stringify(stdout.trim())}`);
  if (isSupportedMajor(parsed.major)) return { version: parsed.version, major: parsed.major };
  throw new CodedError(
    "postgres_unsupported",
    `${postgres} is PostgreSQL ${parsed.version}; supported are the majors ${SUPPORTED_MAJORS.join(", ")}`,
  );
}

/** A directory is recognized by a file that every server has; else `pg_config` is asked, else the last guess stands. */
async function findDirectory(
  binDir: string,
  question: "--pkglibdir" | "--sharedir",
  env: NodeJS.ProcessEnv,
  guesses: readonly string[],
  witness: string,
): Promise<string> {
  const directories = guesses.map((guess) => resolve(binDir, guess));
  for (const directory of directories) {
    if (question === "--sharedir" ? await exists(join(directory, witness)) : await hasLibrary(directory, witness)) {
      return await realpath(directory);
    }
  }
  const pgConfig = join(binDir, "pg_config");
  if (await exists(pgConfig, constants.X_OK)) {
    const answer = await runProgram(pgConfig, [question], { env, timeoutMs: 20_000 });
    if (answer.code === 0) return answer.stdout.trim();
  }
  for (const directory of directories) if (await exists(directory)) return directory;
  return directories.at(-1) ?? binDir;
}

async function hasLibrary(directory: string, name: string): Promise<boolean> {
  return (await exists(join(directory, `${name}.so`))) || (await exists(join(directory, `${name}.dylib`)));
}

async function exists(path: string, mode: number = constants.F_OK): Promise<boolean> {
  return await access(path, mode).then(
    () => true,
    () => false,
  );
}

/** Libraries whose presence or version changes what stands in a data directory: collations and compressed values. */
function buildFacts(libraries: readonly string[]): string[] {
  const facts: string[] = [];
  for (const library of libraries) {
    const name = basename(library);
    const icu = /^libicui18n\.(?:so\.)?(\d+)/.exec(name);
    if (icu) facts.push(`icu${icu[1]}`);
    else if (name.startsWith("liblz4.")) facts.push("lz4");
    else if (name.startsWith("libzstd.")) facts.push("zstd");
  }
  return facts.sort();
}

function unusable(pgbin: string, why: string, cause?: unknown): CodedError {
  return new CodedError("postgres_unusable", `cannot use ${pgbin} as PostgreSQL server: ${why}`, { cause });
}
