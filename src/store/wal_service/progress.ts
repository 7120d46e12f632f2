import type { Lsn } from "../../wire/lsn.ts";

const FLUSH = 0;
const COMMIT = 1;
const LAST_RECORD = 2;
const WAKE_AT = 3;
const SLOTS = 4;
const NEVER = 0xffff_ffff_ffff_ffffn;

/**
 * How far a timeline's WAL has got, in memory that both threads see: the worker writes it many thousand times a second, and
 * nobody is sent a message unless the other side waits for an LSN. 0 until the acceptor was opened.
 */
export class WalProgress {
  readonly buffer: SharedArrayBuffer;
  readonly #slots: BigUint64Array;

  constructor(buffer?: SharedArrayBuffer) {
    this.buffer = buffer ?? new SharedArrayBuffer(SLOTS * 8);
    this.#slots = new BigUint64Array(this.buffer);
    if (!buffer) this.#slots[WAKE_AT] = NEVER;
  }

  /** End of the last whole record that is durable. */
  get flushLsn(): Lsn {
    return Atomics.load(this.#slots, FLUSH);
  }

  /** As the last proposer told it. */
  get commitLsn(): Lsn {
    return Atomics.load(this.#slots, COMMIT);
  }

  /** Start of the last whole record; 0 as long as none has come since the acceptor was opened. */
  get lastRecordStart(): Lsn {
    return Atomics.load(this.#slots, LAST_RECORD);
  }

  /** The worker's side. True when somebody waits for what was reached: they must be told, once. */
  advance(flushLsn: Lsn, commitLsn: Lsn, lastRecordStart: Lsn): boolean {
    Atomics.store(this.#slots, LAST_RECORD, lastRecordStart);
    Atomics.store(this.#slots, COMMIT, commitLsn);
    Atomics.store(this.#slots, FLUSH, flushLsn);
    const wakeAt = Atomics.load(this.#slots, WAKE_AT);
    return wakeAt <= flushLsn && Atomics.compareExchange(this.#slots, WAKE_AT, wakeAt, NEVER) === wakeAt;
  }

  /**
   * The waiter's side: asks to be told when the flush LSN reaches `lsn`, or the lower one that was asked for before. To be
   * called before looking at the flush LSN, so that no rise is missed.
   */
  wakeAt(lsn: Lsn): void {
    for (;;) {
      const wanted = Atomics.load(this.#slots, WAKE_AT);
      if (wanted <= lsn || Atomics.compareExchange(this.#slots, WAKE_AT, wanted, lsn) === wanted) return;
    }
  }
}
