import type { Client, QueryResult } from "pg";
import type { PostgresMajor } from "../postgres/installation.ts";
import { connectAsAdmin } from "../postgres/session.ts";
import type { Answer, Connect, Row, Session } from "./session.ts";

/** Where the server is and as whom we come. */
export interface AdminServer {
  /** `--connstr`. */
  readonly connstr: string;
  readonly major?: PostgresMajor;
  /** Milliseconds that a statement waits for a lock when its phase says nothing else; 30 s unless told. */
  readonly lockTimeoutMs?: number;
  readonly connectTimeoutMs?: number;
  /** A COMMIT does not wait for storage: for work whose end is waited for once. */
  readonly commitsLocally?: boolean;
}

/** Gives the {@link Connect} of a server: sessions of ours, pipelined, whose DDL is not reported to the control plane. */
export function adminConnect(server: AdminServer): Connect {
  return async (database, applicationName) =>
    adaptSession(
      await connectAsAdmin({
        ...server,
        database,
        applicationName,
        pipeline: true,
        // On a stock server the second one is a placeholder (contract: reconcile.md 2.1, 2.3).
        settings: {
          lock_timeout: String(server.lockTimeoutMs ?? 30_000),
          "neon.forward_ddl": "off",
          ...(server.commitsLocally ? { synchronous_commit: "local" } : {}),
        },
      }),
    );
}

function adaptSession(client: Client): Session {
  let ended: Promise<void> | undefined;
  const script = async (sql: string): Promise<readonly (readonly Row[])[]> => {
    const result: QueryResult<Row> | QueryResult<Row>[] = await client.query(sql);
    return (Array.isArray(result) ? result : [result]).map(({ rows }) => rows);
  };
  return {
    // The driver knows it, its types do not.
    processId: (client as unknown as { readonly processID: number }).processID,
    query: async <T extends object>(sql: string, values?: readonly unknown[]) =>
      (await client.query<T & Row>(sql, values === undefined ? undefined : [...values])).rows,
    script,
    pipeline: async (messages) =>
      await Promise.all(
        messages.map(
          (message): Promise<Answer> =>
            script(message).then(
              (rows) => ({ rows }),
              (error: unknown) => ({ error }),
            ),
        ),
      ),
    end: () => {
      // The session is over either way: what a broken connection has to say then is of no use to anybody.
      ended ??= client.end().catch(() => undefined);
      return ended;
    },
  };
}
