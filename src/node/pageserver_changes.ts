import type { AddressChanges } from "../basebackup/lease_loop.ts";

/** Tells the lease loop when a new spec names other pageservers. */
export class PageserverChanges implements AddressChanges {
  readonly #waiting = new Set<() => void>();
  #version = 0;

  version(): number {
    return this.#version;
  }

  changed(): void {
    this.#version++;
    for (const wake of this.#waiting) wake();
  }

  async changedSince(seen: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#version > seen) return;
    const changed = Promise.withResolvers<void>();
    const wake = (): void => changed.resolve();
    const abort = (): void => changed.reject(signal.reason);
    this.#waiting.add(wake);
    signal.addEventListener("abort", abort, { once: true });
    try {
      await changed.promise;
    } finally {
      this.#waiting.delete(wake);
      signal.removeEventListener("abort", abort);
    }
  }
}
