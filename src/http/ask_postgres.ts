import { CodedError } from "../errors/coded_error.ts";
import { type Session, withSession } from "../reconcile/session.ts";
import type { PostgresAccess } from "./postgres_access.ts";

/**
 * Runs a route's work in a session with the connection string's database.
 *
 * @throws CodedError `postgres_connect`, `postgres_failed`: 500 with the server's words
 */
export async function askPostgres<T>(
  { connect, target }: PostgresAccess,
  applicationName: string,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  try {
    return await withSession(connect, target.database, applicationName, work);
  } catch (cause) {
    if (cause instanceof CodedError) throw cause;
    throw new CodedError("postgres_failed", "Postgres refused", { cause });
  }
}
