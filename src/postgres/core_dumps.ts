import { readdir, rename } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { errorChain, errorCode } from "../errors/coded_error.ts";
import { runProgram } from "./run_program.ts";

/** Paths of `core` and `core.*` in this directory; none when it does not exist. */
export async function findCoreDumps(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch((error: unknown) => {
    if (errorCode(error) === "ENOENT") return [];
    throw error;
  });
  return entries
    .filter((entry) => entry.isFile() && (entry.name === "core" || entry.name.startsWith("core.")))
    .map((entry) => join(directory, entry.name));
}

export interface CoreDumpOptions {
  /** Where cores are looked for: PGDATA; `/cores` on macOS. */
  readonly directory: string;
  /** The server program the cores are of. */
  readonly postgres: string;
  readonly env: NodeJS.ProcessEnv;
  readonly warn: (message: string) => void;
  readonly error: (message: string) => void;
  /** For each debugger run; 20 s unless told. */
  readonly timeoutMs?: number;
}

/**
 * After Postgres is gone: reports every core with its backtrace (contract: lifecycle.md 10.4) and moves the last one beside
 * PGDATA as `<PGDATA>.core`, because the next start wipes PGDATA. Never throws, changes no exit code.
 */
export async function reportCoreDumps(options: CoreDumpOptions): Promise<void> {
  try {
    for (const core of await findCoreDumps(options.directory)) {
      options.warn(`core dump found: ${core}, collecting backtrace`);
      const { stdout, stderr } = await backtrace(core, options);
      options.warn(`core dump backtrace: ${stdout}`);
      options.warn(`debugger stderr: ${stderr}`);
      await keep(core, options);
    }
  } catch (error) {
    options.error(`error while checking for core dumps: ${errorChain(error)}`);
  }
}

async function backtrace(core: string, options: CoreDumpOptions): Promise<{ stdout: string; stderr: string }> {
  const run = { env: options.env, timeoutMs: options.timeoutMs ?? 20_000 };
  const gdb = await runProgram("gdb", ["--batch", "-q", "-ex", "bt", options.postgres, core], run);
  if (gdb.failure !== "ENOENT") return outcome("gdb", gdb);
  const lldb = await runProgram("lldb", ["-c", core, "--batch", "-o", "bt all", "-o", "quit"], run);
  if (lldb.failure !== "ENOENT") return outcome("lldb", lldb);
  return { stdout: "", stderr: "neither gdb nor lldb is installed" };
}

function outcome(
  debuggerName: string,
  result: { stdout: string; stderr: string; timedOut: boolean; failure: string | undefined },
): { stdout: string; stderr: string } {
  const note = result.timedOut ? `${debuggerName} took too long` : (result.failure ?? "");
  return { stdout: result.stdout, stderr: [result.stderr, note].filter((text) => text !== "").join("\n") };
}

/** One core a data directory: a server that crashes in a loop must not fill the disk. */
async function keep(core: string, options: CoreDumpOptions): Promise<void> {
  const directory = resolve(options.directory);
  const target = join(dirname(directory), `${basename(directory)}.core`);
  try {
    await rename(core, target);
    options.warn(`core dump moved to ${target}`);
  } catch (error) {
    options.warn(`core dump stays in ${directory}, which the next start wipes: ${errorChain(error)}`);
  }
}
