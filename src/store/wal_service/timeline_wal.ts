import type { Lsn } from "../../wire/lsn.ts";
import { LsnWaiters } from "../lsn_waiters.ts";
import { WalProgress } from "./progress.ts";
import type { AcceptorStatus } from "./wal_timeline.ts";

/** What a {@link TimelineWal} asks of the thread that has the acceptor. */
export interface AcceptorCalls {
  readonly status: () => Promise<AcceptorStatus>;
  readonly forget: () => Promise<void>;
}

/** One timeline's WAL as the rest of the store sees it: how far it has got, and a way to wait for more. */
export class TimelineWal {
  readonly progress = new WalProgress();
  readonly #calls: AcceptorCalls;
  readonly #waiters = new LsnWaiters();
  #open: Promise<unknown> | undefined;

  constructor(calls: AcceptorCalls) {
    this.#calls = calls;
  }

  /** As it is now. @throws StoreError `damaged_file` */
  async status(): Promise<AcceptorStatus> {
    return await this.#calls.status();
  }

  /**
   * End of the last whole record that is durable. This store is the only acceptor of its timelines, so that is what a quorum
   * of one holds: every commit that was ever acknowledged lies below it, and no election can take it back. The commit LSN
   * that proposers tell follows later, and not at all when they are killed.
   */
  async flushLsn(): Promise<Lsn> {
    this.#open ??= this.#calls.status().catch((error: unknown) => {
      this.#open = undefined;
      throw error;
    });
    await this.#open;
    return this.progress.flushLsn;
  }

  /** True when the flush LSN reached `lsn` within the time; rejects with the signal's reason when that comes first. */
  async wait(lsn: Lsn, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted();
    this.progress.wakeAt(lsn);
    if (this.progress.flushLsn >= lsn) return true;
    return await this.#waiters.wait(lsn, timeoutMs, signal);
  }

  /** The other thread says that an LSN was reached that somebody waits for. */
  reached(): void {
    for (;;) {
      const { flushLsn } = this.progress;
      this.#waiters.reached(flushLsn);
      const next = this.#waiters.lowestAbove(flushLsn);
      if (next === undefined) return;
      this.progress.wakeAt(next);
      if (this.progress.flushLsn < next) return;
    }
  }

  /** Ends proposers' connections and closes the files. */
  async forget(): Promise<void> {
    await this.#calls.forget();
  }
}
