import { dirname, extname, join } from "node:path";
import { CodedError, errorChain, errorCode } from "../errors/coded_error.ts";
import { parseNeonLocalArguments } from "./neon_local_arguments.ts";
import type { ServeFlags } from "./neon_local_flags.ts";

/**
 * npm hands Ctrl-C on to its script, which has already got it from the terminal: what comes this soon after the first
 * signal is the same key press, not a second one.
 */
const SAME_KEY_PRESS_MS = 500;

/**
 * The program `neon-local`: command line in, exit code out (contract: neon-local.md A3).
 *
 * @param argv the words behind the program's name
 * @param programFile our own file; the other programs of the package lie beside it
 */
export async function neonLocal(argv: readonly string[], programFile: string): Promise<number> {
  const out = (text: string): void => void process.stdout.write(text);
  const err = (text: string): void => void process.stderr.write(text);
  // Who reads our output may leave, `| head` does: that is no reason to take Postgres down without a proper stop.
  for (const stream of [process.stdout, process.stderr])
    stream.on("error", (error) => {
      if (errorCode(error) !== "EPIPE") throw error;
    });
  const command = parseNeonLocalArguments(argv, { out, err });
  try {
    switch (command.kind) {
      case "exit":
        return command.code;
      case "healthcheck": {
        const { healthcheck } = await import("../local/healthcheck.ts");
        const { env } = process;
        const url = await healthcheck({ ...command.flags, env, cwd: process.cwd(), uid: process.geteuid?.() ?? -1 });
        out(`${url} says that all is well\n`);
        return 0;
      }
      case "serve":
        return await runServe(command.flags, programFile, out, err);
    }
  } catch (error) {
    err(`neon-local: ${errorChain(error)}\n`);
    return error instanceof CodedError ? error.exitCode : 1;
  }
}

async function runServe(
  flags: ServeFlags,
  programFile: string,
  out: (text: string) => void,
  err: (text: string) => void,
): Promise<number> {
  const { serve } = await import("../local/serve.ts");
  const signals = stopSignals(err);
  try {
    const beside = (name: string): string => join(dirname(programFile), `${name}${extname(programFile)}`);
    return await serve({
      ...flags,
      env: process.env,
      cwd: process.cwd(),
      uid: process.geteuid?.() ?? -1,
      programs: { store: beside("neon_store"), compute: beside("compute_ctl") },
      out,
      err,
      stop: signals.stop,
      force: signals.force,
    });
  } finally {
    signals.dispose();
  }
}

/** The first signal asks for a stop in order, the next one for an immediate stop. */
function stopSignals(err: (text: string) => void): { stop: AbortSignal; force: AbortSignal; dispose: () => void } {
  const stop = new AbortController();
  const force = new AbortController();
  let first = 0;
  const onSignal = (): void => {
    if (!stop.signal.aborted) {
      first = performance.now();
      stop.abort();
    } else if (!force.signal.aborted && performance.now() - first > SAME_KEY_PRESS_MS) {
      err("second signal: stopping at once\n");
      force.abort();
    }
  };
  const names = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const name of names) process.on(name, onSignal);
  const dispose = (): void => {
    for (const name of names) process.off(name, onSignal);
  };
  return { stop: stop.signal, force: force.signal, dispose };
}
