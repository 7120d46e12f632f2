import { lstat, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { errorChain, errorCode } from "../errors/coded_error.ts";
import type { Logger } from "../telemetry/log.ts";
import { realWait, type Wait } from "./wait.ts";

/** Long enough for rsyslogd to have sent a file that is rotated every 5 minutes. */
const MAX_AGE_MS = 15 * 60_000;
const INTERVAL_MS = 60_000;

export interface AuditLogCleaner {
  /** `<PGDATA>/log`. */
  readonly directory: string;
  /** Told of the bytes in the directory after each round: `compute_audit_log_dir_size`. */
  readonly onSize: (bytes: number) => void;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly wait?: Wait;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** Every minute until the signal is aborted; then it resolves. Never rejects. */
export async function runAuditLogCleaner(cleaner: AuditLogCleaner): Promise<void> {
  const { directory, onSize, log, signal, wait = realWait, now = Date.now } = cleaner;
  let complained = false;
  while (!signal.aborted) {
    try {
      onSize(await cleanAuditLogs(directory, now()));
      complained = false;
    } catch (error) {
      onSize(0);
      if (!complained) log.warn(`could not clean the audit logs in ${directory}: ${errorChain(error)}`);
      // Not once a minute as long as it lasts.
      complained = true;
    }
    try {
      await wait(INTERVAL_MS, signal);
    } catch (error) {
      if (!signal.aborted) log.error(`the audit log cleaner ended: ${errorChain(error)}`);
      return;
    }
  }
}

/**
 * Deletes audit files (`audit*.log`) that nobody wrote to for 15 minutes (contract: metrics-and-logs.md 3.5).
 *
 * @param now milliseconds since the epoch
 * @returns bytes of the regular files that are left and whose name ends in `log`
 */
export async function cleanAuditLogs(directory: string, now: number): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(directory)) {
    if (!name.endsWith("log")) continue;
    const path = join(directory, name);
    try {
      const stats = await lstat(path);
      if (!stats.isFile()) continue;
      if (name.startsWith("audit") && name.endsWith(".log") && now - stats.mtimeMs > MAX_AGE_MS) await rm(path);
      else bytes += stats.size;
    } catch (error) {
      // Rotated or removed between the two looks.
      if (errorCode(error) !== "ENOENT") throw error;
    }
  }
  return bytes;
}
