import pg from "pg";
import { expect } from "vitest";
import type { Compute } from "../support/compute_ctl.ts";
import { until } from "../support/until.ts";

const CLIENTS = 8;
/** Every this many transactions of a client one is large. */
const LARGE_EVERY = 12;

/**
 * What clients did and what they were told. Each transaction writes a row that says who it is and bumps a counter, so that
 * lost, doubled and half transactions all show. Two of the clients also write records of megabytes.
 */
export class Ledger {
  readonly #acknowledged = new Set<string>();
  readonly #attempted = new Set<string>();

  static async create(compute: Compute): Promise<Ledger> {
    const client = await compute.connect();
    await client.query(
      `CREATE TABLE ledger (generation int, client int, n int, pad text, PRIMARY KEY (generation, client, n));
       ALTER TABLE ledger ALTER COLUMN pad SET STORAGE EXTERNAL;
       CREATE TABLE counters (client int PRIMARY KEY, value int NOT NULL);
       INSERT INTO counters SELECT g, 0 FROM generate_series(0, ${CLIENTS - 1}) g;`,
    );
    await client.end();
    return new Ledger();
  }

  /** Transactions whose COMMIT returned, of all generations. */
  get acknowledged(): number {
    return this.#acknowledged.size;
  }

  /** Every client works until its session ends; resolves when all sessions are gone. */
  async load(compute: Pick<Compute, "postgresPort">, generation: number): Promise<void> {
    await Promise.all(Array.from({ length: CLIENTS }, (_, client) => this.#work(compute, generation, client)));
  }

  /** Waits until so many more transactions were acknowledged. */
  async progress(more: number): Promise<void> {
    const wanted = this.acknowledged + more;
    await until(() => this.acknowledged >= wanted);
  }

  /** Nothing that was acknowledged is missing, nothing is there that nobody asked for, and the counters agree. */
  async verify(compute: Pick<Compute, "connect">): Promise<void> {
    const client = await compute.connect();
    try {
      const { rows } = await client.query<{ key: string; whole: boolean }>(
        `SELECT generation || '/' || client || '/' || n AS key, pad = repeat(right(pad, 1), length(pad)) AS whole FROM ledger`,
      );
      const present = new Set(rows.map(({ key }) => key));
      expect([...this.#acknowledged].filter((key) => !present.has(key))).toEqual([]);
      expect([...present].filter((key) => !this.#attempted.has(key))).toEqual([]);
      expect(rows.filter(({ whole }) => !whole)).toEqual([]);
      const counted = await client.query(
        `SELECT client, value, (SELECT count(*)::int FROM ledger l WHERE l.client = c.client) AS rows
           FROM counters c ORDER BY client`,
      );
      for (const row of counted.rows as { value: number; rows: number }[]) expect(row.value).toBe(row.rows);
    } finally {
      await client.end();
    }
  }

  async #work(
    { postgresPort: port }: Pick<Compute, "postgresPort">,
    generation: number,
    client: number,
  ): Promise<void> {
    const session = new pg.Client({ host: "127.0.0.1", port, user: "cloud_admin", database: "postgres" });
    session.on("error", () => undefined);
    try {
      await session.connect();
      for (let n = 0; ; n++) {
        const key = `${generation}/${client}/${n}`;
        this.#attempted.add(key);
        await session.query(transaction(generation, client, n));
        this.#acknowledged.add(key);
      }
    } catch {
      // The server was killed: whether the last transaction is there nobody knows.
    } finally {
      await session.end().catch(() => undefined);
    }
  }
}

function transaction(generation: number, client: number, n: number): string {
  const large = n % LARGE_EVERY === 3;
  const padding = large && client === 0 ? 2_500_000 : 1 + (n % 100);
  // One record of that length: it runs over hundreds of pages, and now and then into the next segment.
  const record = large && client === 1 ? "SELECT pg_logical_emit_message(true, 'chaos', repeat('x', 3000000));" : "";
  return `BEGIN; INSERT INTO ledger VALUES (${generation}, ${client}, ${n}, repeat('${n % 10}', ${padding})); ${record}
          UPDATE counters SET value = value + 1 WHERE client = ${client}; COMMIT`;
}
