import type { Connect } from "../reconcile/session.ts";

/** Statistics of a session that has ended can arrive this much later: on 14 through a process of their own. */
const SETTLING_MS = 1_500;
/** Sessions in these are not in the statistics that the monitor looks at. */
const OUTSIDE: ReadonlySet<string> = new Set(["postgres", "template0", "template1"]);

/**
 * Remembers when we ourselves were in users' databases, so that the monitor does not take that for users at work
 * (contract: lifecycle.md 15.5, 12.1).
 */
export class OwnSessions {
  readonly #now: () => number;
  #open = 0;
  #lastClosed = Number.NEGATIVE_INFINITY;

  /** @param now monotonic milliseconds */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** The same sessions, remembered. */
  wrap(connect: Connect): Connect {
    return async (database, applicationName) => {
      if (OUTSIDE.has(database)) return await connect(database, applicationName);
      const end = this.began();
      try {
        const session = await connect(database, applicationName);
        return { ...session, processId: session.processId, end: () => session.end().finally(end) };
      } catch (error) {
        end();
        throw error;
      }
    };
  }

  /** A session begins that is not made through {@link wrap}, such as `pg_dump`'s. Call what it returns when it is over. */
  began(): () => void {
    this.#open++;
    let over = false;
    return () => {
      if (over) return;
      over = true;
      this.#open--;
      this.#lastClosed = this.#now();
    };
  }

  /** Whether the statistics may hold sessions of ours that they did not hold a moment ago. */
  get disturbing(): boolean {
    return this.#open > 0 || this.#now() - this.#lastClosed < SETTLING_MS;
  }
}
