import { CodedError, errorChain } from "../errors/coded_error.ts";
import { formatLsn, type Lsn } from "../wire/lsn.ts";
import { isPermanentStorageError } from "./permanent_error.ts";

/** Tries after the first one. */
const BASE_BACKUP_RETRIES = 10;
const FIRST_WAIT_MS = 500;
const WAIT_FACTOR = 1.5;

export interface RetryOptions {
  readonly lsn: Lsn;
  /** Tries after the first; 10, or what `NEON_COMPUTE_TESTING_BASEBACKUP_RETRIES` says. */
  readonly retries?: number;
  /** Removes what a failed try has left behind. */
  readonly wipe: () => Promise<void>;
  readonly warn: (text: string) => void;
  /** Resolves after so many milliseconds, rejects on abort. */
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
}

/**
 * Runs tries of a base backup: waits of 500 ms, then half as much longer each time; refused authentication and unknown
 * timelines end it at once (contract: lifecycle.md 8, storage-protocols.md 1.7).
 *
 * @throws CodedError `base_backup_failed`, `failed to get basebackup@<lsn>`, whose cause is the last try's error
 */
export async function withBaseBackupRetries<T>(attempt: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { lsn, signal } = options;
  const retries = options.retries ?? BASE_BACKUP_RETRIES;
  let wait = FIRST_WAIT_MS;
  for (let failed = 0; ; failed++) {
    try {
      signal.throwIfAborted();
      return await attempt();
    } catch (error) {
      if (signal.aborted || failed >= retries || isPermanentStorageError(error))
        throw new CodedError("base_backup_failed", `failed to get basebackup@${formatLsn(lsn)}`, { cause: error });
      options.warn(`Failed to get basebackup: ${errorChain(error)} (attempt ${failed}/${retries})`);
    }
    await options.wipe();
    await options.sleep(wait, signal);
    wait *= WAIT_FACTOR;
  }
}
