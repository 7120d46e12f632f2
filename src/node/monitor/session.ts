import { connectAsAdmin } from "../../postgres/session.ts";
import type { Observation } from "./activity.ts";

/** The monitor's connection to Postgres. */
export interface MonitorSession {
  /** Postgres or the network ended it. */
  readonly closed: boolean;
  look(): Promise<Observation>;
  /** Drops it, also in the middle of a query. */
  close(): void;
}

/** Name of the primary's walproposer in Neon's server; ours begin as our sessions' names do (contract: lifecycle.md 15.4). */
const STORAGE_STREAMS = "application_name = 'walproposer' OR application_name LIKE 'compute\\_ctl%'";

/**
 * One statement a round. Times leave the server as numbers: text would be in the session's time zone (contract: lifecycle.md
 * 15.5).
 */
const LOOK = `
WITH clients AS (
  SELECT state, state_change FROM pg_catalog.pg_stat_activity
  WHERE backend_type = 'client backend' AND pid <> pg_catalog.pg_backend_pid() AND usename <> 'cloud_admin'
    AND state IS NOT NULL
), databases AS (
  SELECT coalesce(sum(active_time), 0)::float8 AS active_time, coalesce(sum(sessions), 0)::float8 AS sessions
  FROM pg_catalog.pg_stat_database WHERE datname NOT IN ('postgres', 'template0', 'template1')
)
SELECT active_time, sessions,
  (SELECT count(*)::int4 FROM clients WHERE state <> 'idle') AS busy,
  (SELECT extract(epoch FROM max(state_change))::float8 * 1000 FROM clients WHERE state = 'idle') AS idle_since,
  (SELECT count(*)::int4 FROM pg_catalog.pg_stat_replication
   WHERE NOT (${STORAGE_STREAMS}) OR usename NOT IN ('cloud_admin', session_user)) AS wal_senders,
  (SELECT count(*)::int4 FROM pg_catalog.pg_stat_subscription WHERE pid IS NOT NULL) AS subscriptions,
  (SELECT count(*)::int4 FROM pg_catalog.pg_stat_activity WHERE backend_type = 'autovacuum worker') AS autovacuum
FROM databases`;

interface Row {
  readonly active_time: number;
  readonly sessions: number;
  readonly busy: number;
  readonly idle_since: number | null;
  readonly wal_senders: number;
  readonly subscriptions: number;
  readonly autovacuum: number;
}

/** @param limitMs for the connection to be made */
export async function openMonitorSession(connstr: string, limitMs: number): Promise<MonitorSession> {
  const client = await connectAsAdmin({
    connstr,
    applicationName: "compute_ctl:compute_monitor",
    connectTimeoutMs: limitMs,
  });
  let closed = false;
  client.on("end", () => {
    closed = true;
  });
  return {
    get closed() {
      return closed;
    },
    async look() {
      const { rows } = await client.query<Row>(LOOK);
      const row = rows[0];
      if (row === undefined) throw new Error("the activity query gave no row");
      return {
        statistics: { activeTime: row.active_time, sessions: row.sessions },
        busySessions: row.busy,
        idleSince: row.idle_since === null ? null : new Date(row.idle_since),
        walSenders: row.wal_senders,
        subscriptions: row.subscriptions,
        autovacuumWorkers: row.autovacuum,
      };
    },
    close() {
      closed = true;
      // With a query under way the driver drops the socket. What a broken connection says then interests nobody.
      client.end().catch(() => undefined);
    },
  };
}
