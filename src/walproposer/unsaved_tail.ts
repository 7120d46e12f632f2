import type { Lsn } from "../wire/lsn.ts";
import type { TermHistory } from "../wire/safekeeper/history.ts";

/** Where the WAL of a kept data directory parts from storage's log. */
export type TailStart =
  /** Nobody else wrote: what the directory has behind this LSN is the only WAL there is. */
  | { readonly kind: "ours"; readonly from: Lsn }
  /** Another compute went on here, so what the directory has behind this LSN can no longer be brought in. */
  | { readonly kind: "overtaken"; readonly from: Lsn; readonly term: bigint }
  /** Storage's log knows none of the directory's terms. */
  | { readonly kind: "unknown" };

/**
 * Decides about WAL that was written without waiting for storage (contract: storage-protocols.md 5.10 step 2). A term that
 * was won but never wrote, as that of a start that failed, changes nothing.
 *
 * @param history storage's terms and where each begins
 * @param end where storage's log ends
 * @param terms those under which the directory's WAL was pushed
 */
export function tailStart(history: TermHistory, end: Lsn, terms: readonly bigint[]): TailStart {
  const first = history.findIndex((entry) => terms.includes(entry.term));
  if (first < 0) return { kind: "unknown" };
  const foreign = history.find(
    (entry, index) => index > first && !terms.includes(entry.term) && (history[index + 1]?.lsn ?? end) > entry.lsn,
  );
  return foreign === undefined
    ? { kind: "ours", from: end }
    : { kind: "overtaken", from: foreign.lsn, term: foreign.term };
}
