import type { Lsn } from "../wire/lsn.ts";

/**
 * Follows a stream of WAL bytes and knows where its last whole record ends. The acceptor only needs this much of the WAL
 * format (contract: storage-protocols.md 5.7.1 "flush_lsn").
 */
export interface RecordTracker {
  /**
   * End of the last whole record with a right CRC among the bytes so far, rounded up to 8; the next segment's start after a
   * switch record; where tracking started while there is none.
   */
  readonly recordEnd: Lsn;
  /**
   * Takes the bytes that follow those of the previous call. May change itself and return itself: the acceptor never uses an
   * older tracker again. Throws when the bytes cannot be WAL (page header, record length, CRC).
   */
  advance(bytes: Uint8Array): RecordTracker;
}

/** Starts to track at a record start or at the start of a page that does not begin with a continued record. */
export type StartTracking = (lsn: Lsn) => RecordTracker;
