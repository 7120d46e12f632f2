import { CodedError } from "../../errors/coded_error.ts";
import { formatLsn, type Lsn } from "../../wire/lsn.ts";

interface Piece {
  readonly start: Lsn;
  readonly bytes: Uint8Array;
}

/** A gapless stretch of WAL in memory, from the oldest byte that somebody may still ask for to the newest. */
export class WalBuffer {
  #pieces: Piece[] = [];
  #start: Lsn;
  #end: Lsn;

  constructor(start: Lsn) {
    this.#start = start;
    this.#end = start;
  }

  get start(): Lsn {
    return this.#start;
  }

  get end(): Lsn {
    return this.#end;
  }

  /** Bytes held. */
  get size(): number {
    return Number(this.#end - this.#start);
  }

  /** Adds what follows; bytes that are held already are dropped. @throws CodedError `wal_gap` */
  append(start: Lsn, bytes: Uint8Array): void {
    if (start > this.#end)
      throw new CodedError("wal_gap", `WAL goes on at ${formatLsn(start)}, but ${formatLsn(this.#end)} was expected`);
    const fresh = bytes.subarray(Number(this.#end - start));
    if (fresh.length === 0) return;
    this.#pieces.push({ start: this.#end, bytes: fresh });
    this.#end += BigInt(fresh.length);
  }

  /** At most `limit - from` bytes from `from` on, as many as can be given without copying much; undefined when not held. */
  read(from: Lsn, limit: Lsn): Uint8Array | undefined {
    const end = limit < this.#end ? limit : this.#end;
    if (from < this.#start || from >= end) return undefined;
    const first = this.#indexOf(from);
    const parts: Uint8Array[] = [];
    let at = from;
    for (let index = first; at < end; index++) {
      const piece = this.#pieces[index];
      if (piece === undefined) break;
      const begin = Number(at - piece.start);
      const stop = Math.min(piece.bytes.length, Number(end - piece.start));
      parts.push(piece.bytes.subarray(begin, stop));
      at = piece.start + BigInt(stop);
    }
    const [only] = parts;
    return parts.length === 1 ? only : Buffer.concat(parts);
  }

  /** Forgets everything below an LSN. */
  trim(before: Lsn): void {
    if (before <= this.#start) return;
    if (before >= this.#end) {
      this.#pieces = [];
      this.#start = this.#end;
      return;
    }
    this.#pieces = this.#pieces.slice(this.#indexOf(before));
    const [first] = this.#pieces;
    if (first) this.#start = first.start > before ? first.start : before;
  }

  /** The piece that holds an LSN; pieces are in order. */
  #indexOf(lsn: Lsn): number {
    let [low, high] = [0, this.#pieces.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#pieces[middle] as Piece).start <= lsn) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
