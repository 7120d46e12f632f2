import { closeSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "../../telemetry/log.ts";
import type { Lsn } from "../../wire/lsn.ts";
import {
  segmentNumber,
  segmentOffset,
  segmentStart,
  WAL_SEGMENT_SIZE,
  walSegmentName,
} from "../../wire/wal/segment.ts";
import { SegmentAhead } from "./segment_ahead.ts";
import { type OpenSegment, openForWriting, removeSegments, writeAll, zeroRest } from "./segment_files.ts";

/** Bytes, and pieces, that wait for a flush at most; each piece may hold on to a whole socket buffer. */
const MAX_PENDING_BYTES = 1024 * 1024;
const MAX_PENDING_PIECES = 256;
/** A segment with holes gets its place on disk in steps of this size. */
const ALLOCATION = 1024 * 1024;
/** From here on in a segment the next one is prepared; databases that write nothing need none. */
const PREPARE_AT = 8 * 1024 * 1024;
const ZEROS = Buffer.alloc(ALLOCATION);

/**
 * Writes a timeline's WAL, one call after the other, each finished when it returns: acceptor steps are strictly ordered,
 * and a hop through the thread pool costs a third of the commits a second (contract: stock-postgres.md 6). Pieces are
 * gathered, so that one flush is one write. After an error the writer must be closed and made anew.
 */
export class WalWriter {
  readonly #dir: string;
  readonly #ahead: SegmentAhead;
  #current: OpenSegment | undefined;
  #pending: Uint8Array[] = [];
  #pendingAt: Lsn = 0n;
  #pendingBytes = 0;
  /** Nothing but zeros lies from here on; undefined until the first truncation has seen to that. */
  #cleanFrom: Lsn | undefined;

  constructor(dir: string, log: Logger) {
    this.#dir = dir;
    this.#ahead = new SegmentAhead(dir, (segment) => join(dir, walSegmentName(segment)), log);
  }

  /** Takes bytes that follow those of the call before. The view must not change before the next flush. */
  write(lsn: Lsn, bytes: Uint8Array): void {
    if (this.#pendingBytes === 0) this.#pendingAt = lsn;
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
    if (this.#pendingBytes >= MAX_PENDING_BYTES || this.#pending.length >= MAX_PENDING_PIECES) this.flush();
  }

  /** Makes all that was taken durable. */
  flush(): void {
    let buffers = this.#pending;
    let at = this.#pendingAt;
    this.#pending = [];
    this.#pendingBytes = 0;
    while (buffers.length > 0) {
      const segment = this.#segmentAt(at);
      const { taken, length, rest } = splitAt(buffers, WAL_SEGMENT_SIZE - segmentOffset(at));
      const offset = segmentOffset(at);
      this.#allocate(segment, offset, offset + length);
      writeAll(segment.file, taken, offset);
      at += BigInt(length);
      if (this.#cleanFrom === undefined || at > this.#cleanFrom) this.#cleanFrom = at;
      if (offset + length > PREPARE_AT) this.#ahead.want(segment.number + 1n);
      buffers = rest;
    }
  }

  /** Cuts the log: later segments are removed, the rest of this one is zeroed; durable when it returns. */
  truncate(lsn: Lsn): void {
    this.flush();
    const known = this.#cleanFrom;
    const offset = segmentOffset(lsn);
    // A segment of which nothing is left goes too.
    const lastKept = offset === 0 ? segmentNumber(lsn) - 1n : segmentNumber(lsn);
    if (known === undefined || known > segmentStart(lastKept + 1n)) {
      this.#ahead.forget();
      if (this.#current && this.#current.number > lastKept) this.#closeCurrent();
      removeSegments(this.#dir, (segment) => segment > lastKept);
    }
    if (offset > 0 && (known === undefined || known > lsn)) {
      const segment = this.#segmentAt(lsn);
      zeroRest(segment, offset);
      this.#allocate(segment, offset, offset + 1);
    }
    this.#cleanFrom = lsn;
  }

  /** What was taken, but not flushed, is dropped. */
  async close(): Promise<void> {
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#closeCurrent();
    await this.#ahead.settled();
  }

  #segmentAt(lsn: Lsn): OpenSegment {
    const number = segmentNumber(lsn);
    if (this.#current?.number === number) return this.#current;
    this.#closeCurrent();
    // Either way the file is there and durable, or is made now.
    this.#ahead.take(number);
    this.#current = openForWriting(this.#dir, number);
    return this.#current;
  }

  #closeCurrent(): void {
    const current = this.#current;
    this.#current = undefined;
    if (current) closeSync(current.file);
  }

  /** Gives `[from, to)` of a sparse segment its place on disk, and more, so that not every commit has to. All zeros there. */
  #allocate(segment: OpenSegment, from: number, to: number): void {
    while (segment.allocated < to) {
      const start = Math.max(segment.allocated, from);
      const length = Math.min(ALLOCATION, WAL_SEGMENT_SIZE - start);
      writeAll(segment.file, [ZEROS.subarray(0, length)], start);
      segment.allocated = start + length;
    }
  }
}

function splitAt(buffers: readonly Uint8Array[], room: number) {
  const taken: Uint8Array[] = [];
  let length = 0;
  for (const [index, buffer] of buffers.entries()) {
    if (length + buffer.length > room) {
      const cut = room - length;
      if (cut > 0) taken.push(buffer.subarray(0, cut));
      return { taken, length: room, rest: [buffer.subarray(cut), ...buffers.slice(index + 1)] };
    }
    taken.push(buffer);
    length += buffer.length;
  }
  return { taken, length, rest: [] };
}
