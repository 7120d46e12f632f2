import { spawn } from "node:child_process";
import { once } from "node:events";
import { CodedError } from "../errors/coded_error.ts";
import type { ProcessExit } from "../postgres/process_exit.ts";

export interface SpawnChildOptions {
  readonly program: string;
  readonly argv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** Descriptor for stdout and stderr. */
  readonly output: number;
}

export interface ChildHandle {
  /** Also the number of its process group. */
  readonly pid: number;
  readonly exited: Promise<ProcessExit>;
}

/** Descriptor of the pipe in the child. */
const PIPE_FD = 3;

/**
 * Starts a child in a process group of its own: a Ctrl-C in our terminal does not reach it, because the order of stopping is
 * ours. It inherits the end of a pipe whose other end closes with us, however we end: then it stops by itself
 * (contract: neon-local.md A3).
 *
 * @throws CodedError `spawn_failed`
 */
export async function spawnChild(options: SpawnChildOptions): Promise<ChildHandle> {
  try {
    const child = spawn(options.program, options.argv, {
      cwd: options.cwd,
      env: { ...options.env, NEON_LOCAL_SUPERVISOR_FD: String(PIPE_FD) },
      detached: true,
      stdio: ["ignore", options.output, options.output, "pipe"],
    });
    const { promise: exited, resolve } = Promise.withResolvers<ProcessExit>();
    child.on("exit", (code, signal) => resolve({ code, signal }));
    await once(child, "spawn");
    // A signal that cannot be delivered and a reset of the pipe come as errors; the exit says all there is to know.
    child.on("error", () => undefined);
    child.stdio[PIPE_FD]?.on("error", () => undefined);
    return { pid: child.pid ?? -1, exited };
  } catch (cause) {
    throw new CodedError("spawn_failed", `cannot start ${options.program}`, { cause });
  }
}
