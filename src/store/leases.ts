import type { Lsn } from "../wire/lsn.ts";
import { nextRecordPosition } from "../wire/wal/segment.ts";
import type { Timeline } from "./timeline.ts";

/** How long a lease lasts when the tenant's configuration says nothing else (contract: storage-protocols.md 4). */
const LEASE_LENGTH_MS = 600_000;

/** LSNs that must stay readable until a moment. In memory only: after a restart nothing is removed for one lease length. */
export class Leases {
  readonly #now: () => number;
  readonly #lengthMs: number;
  readonly #leases = new WeakMap<Timeline, Map<Lsn, number>>();

  constructor(now: () => number, lengthMs = LEASE_LENGTH_MS) {
    this.#now = now;
    this.#lengthMs = lengthMs;
  }

  /**
   * Takes or extends a lease, never shortens one. Milliseconds since 1970 at which it ends; undefined when the LSN is not
   * readable any more.
   */
  take(timeline: Timeline, lsn: Lsn): number | undefined {
    const position = nextRecordPosition(lsn);
    if (position < timeline.minReadableLsn) return undefined;
    const leases = this.#valid(timeline);
    const until = Math.max(leases.get(position) ?? 0, this.#now() + this.#lengthMs);
    leases.set(position, until);
    this.#leases.set(timeline, leases);
    return until;
  }

  /** LSNs that are leased now. */
  held(timeline: Timeline): Lsn[] {
    return [...this.#valid(timeline).keys()];
  }

  #valid(timeline: Timeline): Map<Lsn, number> {
    const leases = this.#leases.get(timeline) ?? new Map<Lsn, number>();
    for (const [lsn, until] of leases) if (until <= this.#now()) leases.delete(lsn);
    return leases;
  }
}
