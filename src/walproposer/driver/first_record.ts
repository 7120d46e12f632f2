import { CodedError } from "../../errors/coded_error.ts";
import { formatLsn, type Lsn } from "../../wire/lsn.ts";
import { WalWalker } from "../../wire/wal/walker.ts";

export interface FirstRecordExpectation {
  /** Start of the record before X; undefined when X is where the timeline's WAL begins. */
  readonly previousRecord: Lsn | undefined;
  /** Of the base backup; not checked when undefined. */
  readonly systemIdentifier: bigint | undefined;
}

/**
 * Makes sure that the server goes on exactly where storage ends: its first record must start at X, or behind the page
 * header that stands there, and point at the record before X. Anything else means that recovery lost WAL or found other
 * WAL than ours, and whatever the server does then must not reach storage (design.md 4, contract: storage-protocols.md 5.10).
 */
export class FirstRecordCheck {
  readonly #start: Lsn;
  readonly #walker: WalWalker;
  #found: Lsn | undefined;

  constructor(start: Lsn, expected: FirstRecordExpectation) {
    this.#start = start;
    const { previousRecord: previous, systemIdentifier } = expected;
    this.#walker = new WalWalker(start, { previous, systemIdentifier, refuseOverwrite: true });
  }

  /** Start of the first record, once it is whole. */
  get found(): Lsn | undefined {
    return this.#found;
  }

  /** Takes the stream's bytes until the first record is whole. @throws CodedError `base_mismatch` */
  push(bytes: Uint8Array): void {
    if (this.#found !== undefined) return;
    this.#walker.push(bytes, (record) => {
      this.#found ??= record.start;
    });
    const { failure } = this.#walker;
    if (this.#found === undefined && failure !== undefined)
      throw new CodedError(
        "base_mismatch",
        `the server's WAL does not go on at ${formatLsn(this.#start)}: ${failure.reason} at ${formatLsn(failure.at)}`,
      );
  }
}
