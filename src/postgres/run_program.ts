import { execFile } from "node:child_process";
import { errorCode } from "../errors/coded_error.ts";
import { childEnvironment, identityOf } from "./child_environment.ts";
import type { UnixUser } from "./unix_user.ts";

export interface ProgramOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly runAs?: UnixUser | undefined;
  /** After this it gets SIGTERM, a second later SIGKILL. */
  readonly timeoutMs?: number;
  /** Its standard input; empty unless told. */
  readonly input?: string;
  /** Aborting does the same. */
  readonly signal?: AbortSignal | undefined;
}

export interface ProgramResult {
  /** Null when a signal ended it or when it could not be started. */
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
  /** errno name when the program could not be started: `ENOENT`. */
  readonly failure: string | undefined;
}

const GRACE_MS = 1000;

/**
 * Runs a short-lived program to its end, with its output. Never rejects for what the program does: an exit status, a
 * signal, a time-out and a missing program are values. Nothing but Node's own `execFile`, because some of these runs lie on
 * the way to every start and a process library takes longer to load than they take.
 */
export function runProgram(program: string, argv: readonly string[], options: ProgramOptions): Promise<ProgramResult> {
  let timedOut = false;
  return new Promise((resolve) => {
    const child = execFile(
      program,
      argv,
      {
        env: childEnvironment(options.env, { runAs: options.runAs }),
        maxBuffer: 16 * 1024 * 1024,
        ...identityOf(options.runAs),
      },
      (error, stdout, stderr) => {
        clearTimeout(limit);
        clearTimeout(grace);
        options.signal?.removeEventListener("abort", terminate);
        const { exitCode: code, signalCode: signal } = child;
        const started = child.pid !== undefined;
        resolve({
          // A program that cannot be started leaves a negative errno there.
          code: started ? code : null,
          signal,
          stdout,
          stderr,
          timedOut,
          failure: started ? undefined : (errorCode(error) ?? "unknown"),
        });
      },
    );
    let grace: NodeJS.Timeout | undefined;
    const terminate = (): void => {
      child.kill("SIGTERM");
      grace ??= setTimeout(() => child.kill("SIGKILL"), GRACE_MS);
    };
    const limit =
      options.timeoutMs === undefined
        ? undefined
        : setTimeout(() => {
            timedOut = true;
            terminate();
          }, options.timeoutMs);
    // A program that ends without reading it all is judged by its exit status.
    child.stdin?.on("error", () => undefined).end(options.input);
    options.signal?.addEventListener("abort", terminate, { once: true });
    if (options.signal?.aborted) terminate();
  });
}
