import { Socket } from "node:net";
import { CodedError } from "../errors/coded_error.ts";

/** The variable that names the pipe; it is ours alone and is not passed on to Postgres (contract: lifecycle.md 2). */
export const SUPERVISOR_FD = "NEON_LOCAL_SUPERVISOR_FD";

/**
 * Calls back once when whoever started this process is gone: the other end of the inherited pipe closes with it, also when
 * it was killed. Does nothing without the variable.
 */
export function watchSupervisor(env: NodeJS.ProcessEnv, onGone: () => void): void {
  const text = env[SUPERVISOR_FD];
  if (text === undefined) return;
  const fd = Number(text);
  if (!Number.isInteger(fd) || fd < 3)
    throw new CodedError(
      "bad_supervisor_fd",
      `${SUPERVISOR_FD}=${text} is not the number of an inherited pipe (3 or more)`,
      { exitCode: 2 },
    );
  delete env[SUPERVISOR_FD];
  // A file stream would read in a thread of the pool, and a thread that waits for the pipe keeps the process from exiting.
  const pipe = new Socket({ fd, readable: true, writable: false });
  let told = false;
  const tell = (): void => {
    if (!told) onGone();
    told = true;
  };
  // A pipe that cannot be read has no one at its other end either.
  pipe.on("end", tell).on("error", tell).on("close", tell).resume();
}
