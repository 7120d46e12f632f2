import { CodedError } from "../errors/coded_error.ts";
import { formatLsn, type Lsn } from "../wire/lsn.ts";
import type { TermHistory } from "../wire/safekeeper/history.ts";
import { earlier } from "./lsn_order.ts";

/** The entries that begin at or before `flushLsn`: an acceptor's log says nothing about later ones. */
export function cutHistory(history: TermHistory, flushLsn: Lsn): TermHistory {
  return history.filter((entry) => entry.lsn <= flushLsn);
}

/**
 * Term of the last WAL of a log that ends at `flushLsn`, 0 without one. Reaching the start LSN of a term is enough to
 * count as being in it (contract: storage-protocols.md 5.7.1).
 */
export function lastLogTerm(history: TermHistory, flushLsn: Lsn): bigint {
  return cutHistory(history, flushLsn).at(-1)?.term ?? 0n;
}

/**
 * Up to where a proposer's history and an acceptor's log that ends at `flushLsn` are the same WAL; undefined when they
 * have no term in common (contract: storage-protocols.md 5.7.1). Throws `term_history_corrupt` when one term begins at two
 * places.
 */
export function highestCommonPoint(proposer: TermHistory, acceptor: TermHistory, flushLsn: Lsn): Lsn | undefined {
  const own = cutHistory(acceptor, flushLsn);
  let equal = 0;
  for (; equal < proposer.length && equal < own.length; equal++) {
    const ours = proposer[equal];
    const theirs = own[equal];
    if (!ours || !theirs || ours.term !== theirs.term) break;
    if (ours.lsn !== theirs.lsn)
      throw new CodedError(
        "term_history_corrupt",
        `term ${ours.term} begins at ${formatLsn(ours.lsn)} in the proposer's history and at ${formatLsn(theirs.lsn)} in the acceptor's`,
      );
  }
  if (equal === 0) return undefined;
  const next = proposer[equal];
  return next ? earlier(next.lsn, own[equal]?.lsn ?? flushLsn) : flushLsn;
}

/** Where an elected proposer with this history must start to send to that acceptor. */
export function streamingStart(proposer: TermHistory, acceptor: TermHistory, flushLsn: Lsn): Lsn {
  const first = proposer[0];
  if (!first) throw new CodedError("term_history_empty", "an elected proposer has no term history");
  return highestCommonPoint(proposer, acceptor, flushLsn) ?? first.lsn;
}
