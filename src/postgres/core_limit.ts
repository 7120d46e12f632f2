import { readFile } from "node:fs/promises";
import { runProgram } from "./run_program.ts";

export interface CoreLimitOptions {
  readonly env: NodeJS.ProcessEnv;
  /** Process whose limit is raised; its later children inherit it. Ourselves unless told. */
  readonly pid?: number;
  readonly warn: (message: string) => void;
}

/**
 * Raises the core file limit of this process, and so of every child started afterwards, to unlimited (contract:
 * postgres-config.md 10). `prlimit` changes the running process: children need no wrapper, and their pid is the server's
 * own. What cannot be raised is a warning, never an error.
 */
export async function raiseCoreLimit(options: CoreLimitOptions): Promise<void> {
  const pid = options.pid ?? process.pid;
  const limit = await coreLimit(pid);
  if (limit?.soft === "unlimited" && limit.hard === "unlimited") return;
  // A hard limit can be raised by root only: the second best is to use it up.
  const wanted = ["unlimited:unlimited", ...(limit === undefined ? [] : [`${limit.hard}:`])];
  for (const value of wanted) {
    const result = await runProgram("prlimit", ["--pid", String(pid), `--core=${value}`], {
      env: options.env,
      timeoutMs: 5000,
    });
    if (result.failure !== undefined) break;
    if (result.code === 0) {
      if (value.startsWith("unlimited")) return;
      break;
    }
  }
  const now = await coreLimit(pid);
  if (now?.soft === "unlimited") return;
  options.warn(
    `core files of Postgres are limited to ${now?.soft ?? "an unknown number of"} bytes: cannot raise the limit`,
  );
}

/** Soft and hard `RLIMIT_CORE` as the kernel prints them; undefined where there is no /proc. */
async function coreLimit(pid: number): Promise<{ soft: string; hard: string } | undefined> {
  const text = await readFile(`/proc/${pid}/limits`, "utf8").catch(() => "");
  const match = /^Max core file size\s+(\S+)\s+(\S+)/m.exec(text);
  return match?.[1] && match[2] ? { soft: match[1], hard: match[2] } : undefined;
}
