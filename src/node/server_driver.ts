import type { Postmaster } from "../postgres/postmaster.ts";
import type { Lsn } from "../wire/lsn.ts";

/**
 * How a kind of server gets along with its storage: Neon's Postgres writes its WAL to the safekeepers itself, a stock one
 * needs us for that (design.md 2, 4). One object a start; everything that differs is behind it.
 */
export interface ServerDriver {
  /** Whether PGDATA may be claimed while the LSN is still looked for. */
  readonly claimsEarly: boolean;
  /** Behind `-D PGDATA` on the server's command line, where neither settings nor ALTER SYSTEM can undo it. */
  postgresArguments(conf: string): readonly string[];
  /**
   * Where a primary's base backup is to be taken; `0/0` means at the newest LSN. Neon's server reads `postgresql.conf`
   * for this, so `prepared` resolves when that is written.
   */
  chooseLsn(prepared: Promise<void>, signal: AbortSignal): Promise<Lsn>;
  /** The base backup is in PGDATA, the server is not yet started. */
  dataReady(): Promise<void>;
  /** Postgres is ready, nothing has been written yet. */
  attach(postmaster: Postmaster, signal: AbortSignal): Promise<void>;
  /**
   * All work of the start is done: resolves when it is durable in storage.
   *
   * @param lsn end of the work's WAL; undefined when nothing was written
   */
  settle(lsn: Lsn | undefined): Promise<void>;
  /** Postgres is gone: the LSN up to which storage has its WAL. */
  finish(): Promise<Lsn>;
  /** Gives up whatever still runs. Safe to call more than once. */
  stop(): Promise<void>;
}
