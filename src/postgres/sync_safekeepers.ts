import { spawn } from "node:child_process";
import { resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { CodedError, errorChain } from "../errors/coded_error.ts";
import { type Lsn, tryParseLsn } from "../wire/lsn.ts";
import { childEnvironment, identityOf } from "./child_environment.ts";
import type { PostgresInstallation } from "./installation.ts";
import { collectLog, logLine } from "./log_collector.ts";
import { describeExit, type ProcessExit } from "./process_exit.ts";
import type { RunAs } from "./run_as.ts";

/** Seconds before each retry: 1.1 to the power of its number, after an immediate first one (contract: lifecycle.md 7.3). */
const RETRY_WAITS_MS = [0, 1100, 1210, 1331, 1464.1];

export interface SyncSafekeepersOptions {
  readonly installation: Pick<PostgresInstallation, "postgres">;
  readonly pgdata: string;
  readonly env: NodeJS.ProcessEnv;
  readonly authToken?: string | undefined;
  readonly runAs?: RunAs | undefined;
  readonly prefix?: readonly string[];
  /** stdin of the program: ours unless told. */
  readonly stdin?: "inherit" | "ignore";
  /** `start` tries six times, `shutdown` once. */
  readonly tries: "start" | "shutdown";
  /** Told the pid of each run, and undefined when it has ended: a signal to us must end it (contract: lifecycle.md 16.1). */
  readonly onPid?: (pid: number | undefined) => void;
  readonly onRecord?: (record: string) => void;
  readonly info?: (message: string) => void;
  /** Aborting sends SIGTERM to the program and ends the tries. The program itself waits for a quorum without limit. */
  readonly signal?: AbortSignal | undefined;
  /** Waits between tries; a test may count instead. */
  readonly wait?: (ms: number, signal: AbortSignal | undefined) => Promise<void>;
}

/**
 * Runs `postgres --sync-safekeepers` of Neon's server, which elects itself, recovers to a quorum and prints the LSN it got
 * to. For a Primary only: it deposes whoever writes.
 *
 * @throws CodedError `sync_safekeepers_failed`: `failed to sync safekeepers` with the last reason as cause; the reason of
 *   `signal` when that aborts.
 */
export async function syncSafekeepers(options: SyncSafekeepersOptions): Promise<Lsn> {
  const waits = options.tries === "start" ? RETRY_WAITS_MS : [];
  const wait = options.wait ?? ((ms, signal) => delay(ms, undefined, signal === undefined ? {} : { signal }));
  for (let attempt = 1; ; attempt++) {
    options.signal?.throwIfAborted();
    try {
      return await runOnce(options);
    } catch (error) {
      options.signal?.throwIfAborted();
      const pause = waits[attempt - 1];
      if (pause === undefined) {
        throw new CodedError("sync_safekeepers_failed", "failed to sync safekeepers", { cause: error });
      }
      options.info?.(`sync_safekeepers failed, will retry (attempt ${attempt}): ${errorChain(error)}`);
      await wait(pause, options.signal);
    }
  }
}

async function runOnce(options: SyncSafekeepersOptions): Promise<Lsn> {
  const [program = "", ...argv] = [...(options.prefix ?? []), options.installation.postgres, "--sync-safekeepers"];
  const child = spawn(program, argv, {
    env: {
      ...childEnvironment(options.env, { runAs: options.runAs, authToken: options.authToken }),
      PGDATA: resolve(options.pgdata),
    },
    stdio: [options.stdin ?? "inherit", "pipe", "pipe"],
    ...identityOf(options.runAs),
  });
  const onRecord = options.onRecord ?? ((record: string) => void process.stderr.write(logLine(record)));
  const terminate = (): void => void child.kill("SIGTERM");
  options.signal?.addEventListener("abort", terminate, { once: true });
  let stdout = "";
  try {
    const ended = new Promise<ProcessExit>((resolve, reject) => {
      child.once("close", (code, signal) => resolve({ code, signal }));
      child.once("error", (cause) =>
        reject(new CodedError("postgres_spawn", `cannot execute ${program} --sync-safekeepers`, { cause })),
      );
    });
    if (child.stderr !== null) void collectLog(child.stderr, { onRecord });
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      stdout = (stdout + text).slice(0, 4096);
    });
    options.onPid?.(child.pid);
    const exit = await ended;
    return readLsn(exit, stdout.trim());
  } finally {
    options.signal?.removeEventListener("abort", terminate);
    options.onPid?.(undefined);
  }
}

function readLsn(exit: ProcessExit, stdout: string): Lsn {
  if (exit.code !== 0) {
    throw new CodedError(
      "sync_safekeepers_exit",
      `postgres --sync-safekeepers exited with non-zero status: ${describeExit(exit)}. stdout: ${stdout}`,
    );
  }
  const lsn = tryParseLsn(stdout);
  if (lsn === undefined) {
    throw new CodedError(
      "sync_safekeepers_output",
      `postgres --sync-safekeepers printed no LSN but ${JSON.stringify(stdout)}`,
    );
  }
  return lsn;
}
