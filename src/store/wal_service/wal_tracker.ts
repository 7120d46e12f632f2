import type { RecordTracker } from "../../walproposer/record_tracker.ts";
import type { Lsn } from "../../wire/lsn.ts";
import { WalWalker, type WalWalkerOptions } from "../../wire/wal/walker.ts";

/** Follows real WAL for an acceptor. Changes itself, so an older one must never be used again. */
export class WalTracker implements RecordTracker {
  readonly #walker: WalWalker;

  constructor(start: Lsn, options: Pick<WalWalkerOptions, "magic" | "systemIdentifier" | "previous">) {
    // A page that overwrites a torn record could never be moved to real safekeepers (contract: storage-protocols.md 5.10).
    this.#walker = new WalWalker(start, { ...options, refuseOverwrite: true });
  }

  get recordEnd(): Lsn {
    return this.#walker.end;
  }

  /** Undefined until the first record is whole, unless the one before was known. */
  get lastRecordStart(): Lsn | undefined {
    return this.#walker.lastRecordStart;
  }

  advance(bytes: Uint8Array): this {
    this.#walker.push(bytes);
    const { failure } = this.#walker;
    if (failure) throw new Error(failure.reason);
    return this;
  }
}
