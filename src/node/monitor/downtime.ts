/** Whole milliseconds. */
export interface Outage {
  /** Since Postgres was last seen up. */
  readonly currentMs: number;
  /** Since the round before this one. */
  readonly addedMs: number;
}

/**
 * How long Postgres could not be reached (contract: metrics-and-logs.md 3.2). Fed with a monotonic clock: a step of the
 * wall clock is no outage.
 */
export class DowntimeMeter {
  #lastUp: number;
  #lastRound: number;

  /** @param now monotonic milliseconds at which Postgres was known to be up */
  constructor(now: number) {
    this.#lastUp = now;
    this.#lastRound = now;
  }

  up(now: number): void {
    this.#lastUp = now;
    this.#lastRound = now;
  }

  down(now: number): Outage {
    const outage = { currentMs: Math.round(now - this.#lastUp), addedMs: Math.round(now - this.#lastRound) };
    this.#lastRound = now;
    return outage;
  }
}
