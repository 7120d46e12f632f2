import { type ChildProcess, spawn } from "node:child_process";
import { resolve } from "node:path";
import type { Readable } from "node:stream";
import { CodedError } from "../errors/coded_error.ts";
import { childEnvironment, identityOf } from "./child_environment.ts";
import type { PostgresInstallation } from "./installation.ts";
import { collectLog, logLine } from "./log_collector.ts";
import type { ProcessExit } from "./process_exit.ts";
import { RecentErrors } from "./recent_errors.ts";
import type { RunAs } from "./run_as.ts";
import { StopLadder, type StopLimits, type StopMode } from "./stop_ladder.ts";

export interface PostmasterOptions {
  readonly installation: Pick<PostgresInstallation, "postgres">;
  readonly pgdata: string;
  /** Our whole environment; it is passed on (contract: lifecycle.md 2). */
  readonly env: NodeJS.ProcessEnv;
  readonly authToken?: string | undefined;
  /** Behind `-D PGDATA`: `["-c", "fsync=off"]`. */
  readonly extraArgs?: readonly string[];
  readonly runAs?: RunAs | undefined;
  /** Programs that exec the server, such as `["cgexec", "-g", "memory:neon-postgres"]`: the pid stays the server's own. */
  readonly prefix?: readonly string[];
  /** stdin and stdout of the server: ours unless told. */
  readonly stdio?: "inherit" | "ignore";
  /** Each record of its log; unless told, it is written to our stderr behind `PG:`. */
  readonly onRecord?: (record: string) => void;
  /** Aborting stops the server fast. */
  readonly signal?: AbortSignal | undefined;
}

/** A running server process. */
export interface Postmaster extends AsyncDisposable {
  readonly pid: number;
  readonly pgdata: string;
  /** Settles when the process is gone; never rejects. */
  readonly exited: Promise<ProcessExit>;
  /** Settles when its log has ended, which an orphaned backend can delay for as long as it lives. */
  readonly logEnded: Promise<void>;
  /** What {@link exited} gave, once it has. */
  readonly exit: ProcessExit | undefined;
  /** The last errors it logged, for the error of a failed start. */
  readonly recentErrors: RecentErrors;
  /**
   * Asks it to go, harder and harder (see {@link StopLadder}), and settles when it is gone. Calling it again is harmless;
   * a harder mode takes over.
   */
  stop(mode: StopMode, limits?: StopLimits): Promise<ProcessExit>;
  /** Sends one signal (SIGHUP reloads); false when the process is gone. */
  kill(signal: NodeJS.Signals): boolean;
  /** Stops it at once. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Starts `<prefix> postgres -D PGDATA <extraArgs>` in our working directory and process group (contract: lifecycle.md
 * 10.1). Settles when the program runs, which says nothing about its being ready.
 *
 * @throws CodedError `postgres_spawn` when it cannot be executed.
 */
export async function startPostmaster(options: PostmasterOptions): Promise<Postmaster> {
  options.signal?.throwIfAborted();
  // As given, unless the server starts in another directory than ours.
  const pgdata = options.runAs === undefined ? options.pgdata : resolve(options.pgdata);
  const [program = options.installation.postgres, ...argv] = [
    ...(options.prefix ?? []),
    options.installation.postgres,
    "-D",
    pgdata,
    ...(options.extraArgs ?? []),
  ];
  const stdio = options.stdio ?? "inherit";
  const child = spawn(program, argv, {
    env: childEnvironment(options.env, { runAs: options.runAs, authToken: options.authToken }),
    stdio: [stdio, stdio, "pipe"],
    ...identityOf(options.runAs),
  });
  // Listening before anything is awaited: a server that fails at once has exited before the next turn of the loop.
  const failure = new Promise<unknown>((resolve) => {
    child.once("spawn", () => resolve(undefined));
    // Stays: a signal that may not be sent is an event too, and then the ladder's next step is the answer.
    child.on("error", resolve);
  });
  const postmaster = child.stderr === null ? undefined : supervise(child, child.stderr, options);
  const cause = await failure;
  if (cause !== undefined || postmaster === undefined) {
    throw new CodedError("postgres_spawn", `cannot execute ${program}`, { cause });
  }
  const { signal } = options;
  const stopFast = (): void => void postmaster.stop("fast");
  signal?.addEventListener("abort", stopFast, { once: true });
  void postmaster.exited.then(() => signal?.removeEventListener("abort", stopFast));
  if (signal?.aborted) stopFast();
  return postmaster;
}

function supervise(child: ChildProcess, stderr: Readable, options: PostmasterOptions): Postmaster {
  const recentErrors = new RecentErrors({ secrets: [options.authToken, options.env.NEON_CONTROL_PLANE_TOKEN] });
  const write = options.onRecord ?? ((record: string) => void process.stderr.write(logLine(record)));
  const logEnded = collectLog(stderr, {
    onRecord: (record) => {
      recentErrors.add(record);
      write(record);
    },
  });
  const ladder = new StopLadder((signal) => child.kill(signal));
  let exit: ProcessExit | undefined;
  const exited = new Promise<ProcessExit>((resolve) => {
    child.once("exit", (code, signal) => {
      exit = { code, signal };
      ladder.cancel();
      resolve(exit);
    });
  });
  const stop = (mode: StopMode, limits?: StopLimits): Promise<ProcessExit> => {
    ladder.raise(mode, limits);
    return exited;
  };
  return {
    pid: child.pid ?? 0,
    pgdata: options.pgdata,
    exited,
    logEnded,
    get exit() {
      return exit;
    },
    recentErrors,
    stop,
    kill: (signal) => exit === undefined && child.kill(signal),
    [Symbol.asyncDispose]: async () => void (await stop("immediate")),
  };
}
