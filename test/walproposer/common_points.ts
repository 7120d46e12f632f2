import type { TermHistory } from "../../src/wire/safekeeper/history.ts";

export function history(...entries: readonly (readonly [term: number, lsn: number])[]): TermHistory {
  return entries.map(([term, lsn]) => ({ term: BigInt(term), lsn: BigInt(lsn) }));
}

/** The table of contract: storage-protocols.md 5.7.1. */
export const PROPOSER_HISTORY = history([1, 100], [3, 500], [6, 900]);

export const COMMON_POINTS = [
  { name: "new safekeeper", acceptor: history(), flush: 0n, point: undefined },
  { name: "behind, same history", acceptor: history([1, 100]), flush: 300n, point: 300n },
  { name: "a tail of term 2", acceptor: history([1, 100], [2, 400]), flush: 700n, point: 400n },
  { name: "term 3 past the donor", acceptor: history([1, 100], [3, 500]), flush: 1000n, point: 900n },
  { name: "reconnect", acceptor: history([1, 100], [3, 500], [6, 900]), flush: 1200n, point: 1200n },
  { name: "first compute died early", acceptor: history([2, 100]), flush: 300n, point: undefined },
];
