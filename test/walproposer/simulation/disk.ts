import type { AcceptorRecord } from "../../../src/walproposer/acceptor_state.ts";
import type { Lsn } from "../../../src/wire/lsn.ts";
import { TIMELINE_START } from "./fake_wal.ts";
import type { Random } from "./random.ts";

/** An acceptor's disk: what was written is readable at once, but only what was flushed surely survives a crash. */
export class Disk {
  record: AcceptorRecord;
  /** What reads see; index 0 is TIMELINE_START. */
  wal = new Uint8Array(1024);
  #durable = new Uint8Array(1024);
  /** Writes since the last flush, as ranges of `wal`. */
  #unflushed: { from: number; to: number }[] = [];

  constructor(record: AcceptorRecord) {
    this.record = record;
  }

  write(lsn: Lsn, bytes: Uint8Array): void {
    const from = Number(lsn - TIMELINE_START);
    this.#grow(from + bytes.length);
    this.wal.set(bytes, from);
    this.#unflushed.push({ from, to: from + bytes.length });
  }

  flush(): void {
    for (const { from, to } of this.#unflushed) this.#durable.set(this.wal.subarray(from, to), from);
    this.#unflushed = [];
  }

  /** Durable when done, as the step asks for. */
  truncate(lsn: Lsn): void {
    const from = Number(lsn - TIMELINE_START);
    this.flush();
    if (from >= this.wal.length) return;
    this.wal.fill(0, from);
    this.#durable.fill(0, from);
  }

  /** The machine dies: of what was not flushed, any pieces may have reached the disk; none without `random`. */
  crash(random?: Random): void {
    if (random)
      for (const { from, to } of this.#unflushed) {
        const kept = random.chance(0.3) ? to : random.chance(0.5) ? from : random.int(from, to);
        this.#durable.set(this.wal.subarray(from, kept), from);
      }
    this.#unflushed = [];
    this.wal.set(this.#durable);
  }

  /** The crash comes in the middle of a truncation: a piece of it has happened. */
  crashWhileTruncating(lsn: Lsn, random: Random): void {
    this.crash(random);
    const start = Number(lsn - TIMELINE_START);
    if (start >= this.wal.length) return;
    const from = random.int(start, this.wal.length);
    const to = random.int(from, this.wal.length);
    this.wal.fill(0, from, to);
    this.#durable.fill(0, from, to);
  }

  bytes(from: Lsn, to: Lsn): Uint8Array {
    const start = Number(from - TIMELINE_START);
    const bytes = new Uint8Array(Number(to - from));
    bytes.set(this.wal.subarray(start, start + bytes.length));
    return bytes;
  }

  #grow(length: number): void {
    if (length <= this.wal.length) return;
    const size = Math.max(length, this.wal.length * 2);
    const wal = new Uint8Array(size);
    wal.set(this.wal);
    this.wal = wal;
    const durable = new Uint8Array(size);
    durable.set(this.#durable);
    this.#durable = durable;
  }
}
