import { join, resolve } from "node:path";
import { CodedError } from "../errors/coded_error.ts";
import type { PostgresInstallation } from "./installation.ts";
import type { RunAs } from "./run_as.ts";
import { type ProgramResult, runProgram } from "./run_program.ts";

interface ToolOptions {
  readonly installation: PostgresInstallation;
  readonly env: NodeJS.ProcessEnv;
  readonly runAs?: RunAs | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * `pg_ctl reload -D PGDATA` (contract: postgres-config.md 4.1). Returns when the signal is sent: Postgres reads its files
 * later, and says success even of a file it then ignores.
 *
 * @throws CodedError `pg_ctl_failed`.
 */
export async function pgCtlReload(options: ToolOptions & { readonly pgdata: string }): Promise<void> {
  const program = join(options.installation.binDir, "pg_ctl");
  const result = await runProgram(program, ["reload", "-D", resolve(options.pgdata)], {
    ...options,
    timeoutMs: 60_000,
  });
  if (result.code !== 0) throw toolFailed("pg_ctl_failed", "pg_ctl reload", result);
}

export interface InitdbOptions extends ToolOptions {
  /** Must not exist, or be empty and belong to the user who runs Postgres. */
  readonly directory: string;
  /** Name of the bootstrap superuser; `cloud_admin` unless told, because session options need that role. */
  readonly superuser?: string;
  /** Off unless told: PostgreSQL 18 turns them on by default, 14 to 17 off. */
  readonly dataChecksums?: boolean;
  /** What `pg_hba.conf` says until somebody writes another: peer and SCRAM unless told. */
  readonly auth?: "trust";
  /** False leaves out the fsyncs: for a directory that is copied or thrown away. */
  readonly durable?: boolean;
  readonly extraArgs?: readonly string[];
}

/**
 * Makes a data directory: UTF-8, locale `C.UTF-8`, or `C` where that is not installed, whatever `LANG` says (contract:
 * neon-local.md A15).
 *
 * @throws CodedError `initdb_failed` with initdb's own words.
 */
export async function initdb(options: InitdbOptions): Promise<void> {
  const program = join(options.installation.binDir, "initdb");
  const common = [
    `--pgdata=${resolve(options.directory)}`,
    `--username=${options.superuser ?? "cloud_admin"}`,
    "--encoding=UTF8",
    ...(options.auth === "trust" ? ["--auth=trust"] : ["--auth-local=peer", "--auth-host=scram-sha-256"]),
    ...checksums(options),
    ...(options.durable === false ? ["--no-sync"] : []),
    ...(options.extraArgs ?? []),
  ];
  const attempt = (locale: readonly string[], lcAll: string): Promise<ProgramResult> => {
    // LANG and LC_* are looked at before the options and may name a locale that this machine does not have.
    const { LANGUAGE: _language, ...env } = options.env;
    const clean = { ...env, LANG: lcAll, LC_ALL: lcAll };
    return runProgram(program, [...common, ...locale], { ...options, env: clean, timeoutMs: 120_000 });
  };
  const utf8 = await attempt(["--locale=C.UTF-8"], "C.UTF-8");
  if (utf8.code === 0) return;
  // initdb removes what it made, so that a second try finds the directory as the first did.
  const result = options.signal?.aborted ? utf8 : await attempt(["--no-locale"], "C");
  options.signal?.throwIfAborted();
  if (result.code !== 0) throw toolFailed("initdb_failed", "initdb", result);
}

/** `--no-data-checksums` came with the new default of 18. */
function checksums(options: InitdbOptions): string[] {
  if (options.dataChecksums === true) return ["--data-checksums"];
  return options.installation.major >= 18 ? ["--no-data-checksums"] : [];
}

export interface DryRun {
  /** Whether the server would read the file. */
  readonly ok: boolean;
  /** Its stderr, line by line, untouched. */
  readonly complaints: readonly string[];
}

/**
 * Lets the server read a configuration file without using it (contract: postgres-config.md 4.1): loads no library, works
 * beside a running server. Messages are in English.
 *
 * @throws CodedError `postgres_spawn` when the server cannot be executed.
 */
export async function dryRunConfig(
  options: ToolOptions & { readonly pgdata: string; readonly configFile: string },
): Promise<DryRun> {
  const argv = [
    "-D",
    resolve(options.pgdata),
    "-C",
    "data_directory",
    "-c",
    `config_file=${resolve(options.configFile)}`,
  ];
  const env = { ...options.env, LC_ALL: "C" };
  const result = await runProgram(options.installation.postgres, argv, { ...options, env, timeoutMs: 20_000 });
  if (result.code === null) throw toolFailed("postgres_spawn", "the check of the configuration file", result);
  return { ok: result.code === 0, complaints: result.stderr.split("\n").filter((line) => line !== "") };
}

function toolFailed(code: string, name: string, result: ProgramResult): CodedError {
  const output = (result.stderr.trim() || result.stdout.trim()).slice(-2000);
  const how = result.timedOut
    ? "took too long"
    : result.failure !== undefined
      ? `could not be executed (${result.failure})`
      : result.signal !== null
        ? `was ended by ${result.signal}`
        : `exited with status ${result.code}`;
  return new CodedError(code, `${name} ${how}${output === "" ? "" : `: ${output}`}`);
}
