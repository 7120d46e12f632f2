import { CodedError } from "../errors/coded_error.ts";

/** A position in the write-ahead log: bytes since its beginning, below 2^64. `0n` is "invalid", "unknown". */
export type Lsn = bigint;

export const INVALID_LSN: Lsn = 0n;

const LSN_TEXT = /^([0-9a-fA-F]+)\/([0-9a-fA-F]+)$/;

/**
 * Reads `hex/hex` with any case, surrounding blanks and leading zeros; each half at most 32 bits
 * (contract: spec.md 2 rule 8, storage-protocols.md 0). Undefined when the text is no LSN.
 */
export function tryParseLsn(text: string): Lsn | undefined {
  const match = LSN_TEXT.exec(text.trim());
  if (!match) return undefined;
  const high = BigInt(`0x${match[1]}`);
  const low = BigInt(`0x${match[2]}`);
  if (high > 0xffffffffn || low > 0xffffffffn) return undefined;
  return (high << 32n) | low;
}

/** As {@link tryParseLsn}, but throws an error with code `invalid_lsn` that names the text. */
export function parseLsn(text: string): Lsn {
  const lsn = tryParseLsn(text);
  if (lsn === undefined)
    throw new CodedError(
      "invalid_lsn",
      `not an LSN: ${JSON.stringify(text)} (expected two hexadecimal numbers, such as 0/16B5A50)`,
      { status: 400 },
    );
  return lsn;
}

/** Writes an LSN as PostgreSQL does: upper-case, without leading zeros, such as `0/169AD58`. */
export function formatLsn(lsn: Lsn): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`;
}
