import type { Lsn } from "../wire/lsn.ts";

/** The greater of two LSNs (or terms). */
export function later(a: Lsn, b: Lsn): Lsn {
  return a > b ? a : b;
}

/** The smaller of two LSNs (or terms). */
export function earlier(a: Lsn, b: Lsn): Lsn {
  return a < b ? a : b;
}
