import { readFileSync } from "node:fs";
import { join } from "node:path";
import { errorCode } from "../errors/coded_error.ts";

/** What a server writes into `postmaster.pid` of its data directory. */
export interface PostmasterPidFile {
  readonly pid: number;
  /** Line 8: `starting`, `stopping`, `ready`, `standby`; undefined while the file is shorter. */
  readonly status: string | undefined;
}

/** Reads the text of `postmaster.pid`; undefined when its first line is no pid. A standalone backend writes its pid negated. */
export function parsePostmasterPid(text: string): PostmasterPidFile | undefined {
  const lines = text.trimEnd().split("\n");
  const pid = Number(lines[0]?.trim() || Number.NaN);
  if (!Number.isInteger(pid) || pid === 0) return undefined;
  // The status stands last; before the server has got that far, line 7 (shared memory) or an earlier one does.
  return { pid: Math.abs(pid), status: lines.length >= 8 ? lines.at(-1)?.trim() : undefined };
}

/**
 * The file of this data directory; undefined when there is none or it holds nothing yet. Read synchronously: one small file,
 * and the answer must not be older than the event that asked for it.
 */
export function readPostmasterPid(pgdata: string): PostmasterPidFile | undefined {
  try {
    return parsePostmasterPid(readFileSync(join(pgdata, "postmaster.pid"), "utf8"));
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}
