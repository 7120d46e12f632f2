import { readFileSync } from "node:fs";
import { join } from "node:path";
import { errorCode } from "../errors/coded_error.ts";
import { type PostmasterPid, parsePostmasterPid } from "../pgdata/postmaster_pid.ts";

/**
 * The `postmaster.pid` of this data directory; undefined when there is none or it holds nothing yet. Read synchronously: one
 * small file, and the answer must not be older than the event that asked for it.
 */
export function readPostmasterPid(pgdata: string): PostmasterPid | undefined {
  try {
    return parsePostmasterPid(readFileSync(join(pgdata, "postmaster.pid"), "utf8"));
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}
