import type { Lsn } from "../wire/lsn.ts";

interface Waiter {
  readonly lsn: Lsn;
  readonly resolve: () => void;
}

/** Everyone who waits for a log to reach an LSN. */
export class LsnWaiters {
  readonly #waiters = new Set<Waiter>();

  /** Lets those go whose LSN was reached. */
  reached(lsn: Lsn): void {
    for (const waiter of this.#waiters) if (waiter.lsn <= lsn) waiter.resolve();
  }

  /** The lowest LSN above this one that somebody waits for. */
  lowestAbove(lsn: Lsn): Lsn | undefined {
    let lowest: Lsn | undefined;
    for (const waiter of this.#waiters)
      if (waiter.lsn > lsn && (lowest === undefined || waiter.lsn < lowest)) lowest = waiter.lsn;
    return lowest;
  }

  /** True when the LSN was reached within the time; rejects with the signal's reason when that comes first. */
  async wait(lsn: Lsn, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    const waiter = { lsn, resolve: () => resolve(true) };
    const timer = setTimeout(() => resolve(false), timeoutMs);
    const onAbort = () => reject(signal.reason as Error);
    signal.addEventListener("abort", onAbort, { once: true });
    this.#waiters.add(waiter);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      this.#waiters.delete(waiter);
    }
  }
}
