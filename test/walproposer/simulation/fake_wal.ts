import type { RecordTracker } from "../../../src/walproposer/record_tracker.ts";
import type { Lsn } from "../../../src/wire/lsn.ts";

/**
 * WAL that is small enough to simulate millions of bytes of: records of 8 to 32 bytes in segments of 256.
 * Byte 0: length / 8, plus 0x40 for a switch record (the rest of the segment is zeros); 1: writer; 2-3: number;
 * then filler that depends on writer and number; last three bytes: checksum.
 */
export const SEGMENT_BYTES = 256;
/** All timelines of the simulation begin here. */
export const TIMELINE_START = 0x1000n;

const SWITCH = 0x40;

export function fakeRecord(writer: number, number: number, length: 8 | 16 | 24 | 32, isSwitch = false): Uint8Array {
  const bytes = new Uint8Array(length);
  bytes[0] = length / 8 + (isSwitch ? SWITCH : 0);
  bytes[1] = writer;
  bytes[2] = number >> 8;
  bytes[3] = number;
  for (let i = 4; i < length - 3; i++) bytes[i] = writer * 31 + number * 7 + i;
  const sum = checksum(bytes, 0, length);
  bytes[length - 3] = sum >> 16;
  bytes[length - 2] = sum >> 8;
  bytes[length - 1] = sum;
  return bytes;
}

/** How many zeros follow a switch record that ends at `end`. */
export function paddingAfter(end: Lsn): number {
  return (SEGMENT_BYTES - Number(end % BigInt(SEGMENT_BYTES))) % SEGMENT_BYTES;
}

/** Finds the whole records in a stream of fake WAL. */
export class FakeTracker implements RecordTracker {
  readonly recordEnd: Lsn;
  readonly #partial: Uint8Array;
  readonly #padding: number;

  constructor(recordEnd: Lsn, partial: Uint8Array = new Uint8Array(0), padding = 0) {
    this.recordEnd = recordEnd;
    this.#partial = partial;
    this.#padding = padding;
  }

  advance(bytes: Uint8Array): FakeTracker {
    let padding = this.#padding;
    const skipped = Math.min(padding, bytes.length);
    padding -= skipped;
    const rest = bytes.subarray(skipped);
    const data = this.#partial.length === 0 ? rest : concat(this.#partial, rest);
    let end = this.recordEnd;
    let at = 0;
    while (at < data.length) {
      const length = recordLength(data[at]!);
      if (length === 0) throw new Error(`bad record length at ${end}`);
      if (at + length > data.length) break;
      if (!isWhole(data, at, length)) throw new Error(`bad checksum at ${end}`);
      const isSwitch = (data[at]! & SWITCH) !== 0;
      at += length;
      end += BigInt(length);
      if (!isSwitch) continue;
      padding = paddingAfter(end);
      end += BigInt(padding);
      const here = Math.min(padding, data.length - at);
      at += here;
      padding -= here;
    }
    return new FakeTracker(end, data.slice(at), padding);
  }
}

/** End of the last whole record from `from` on; `wal[0]` is the byte at TIMELINE_START. */
export function scanFakeWal(wal: Uint8Array, from: Lsn): Lsn {
  let end = from;
  for (;;) {
    const at = Number(end - TIMELINE_START);
    const length = at < wal.length ? recordLength(wal[at]!) : 0;
    if (length === 0 || at + length > wal.length || !isWhole(wal, at, length)) return end;
    end += BigInt(length);
    if ((wal[at]! & SWITCH) !== 0) end += BigInt(paddingAfter(end));
  }
}

function recordLength(first: number): number {
  const eighths = first & ~SWITCH;
  return eighths >= 1 && eighths <= 4 ? eighths * 8 : 0;
}

function isWhole(bytes: Uint8Array, at: number, length: number): boolean {
  const end = at + length;
  return checksum(bytes, at, length) === ((bytes[end - 3]! << 16) | (bytes[end - 2]! << 8) | bytes[end - 1]!);
}

function checksum(bytes: Uint8Array, from: number, length: number): number {
  let sum = 0x811c9dc5;
  for (let i = from; i < from + length - 3; i++) sum = Math.imul(sum ^ bytes[i]!, 0x01000193);
  return (sum ^ (sum >>> 24)) & 0xffffff;
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
