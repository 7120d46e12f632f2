import type { Client } from "pg";
import { CodedError } from "../errors/coded_error.ts";
import { parseConnstr } from "./connstr.ts";
import type { PostgresMajor } from "./installation.ts";
import { sessionOptions } from "./session_options.ts";

export interface AdminSessionOptions {
  /** `--connstr`: a `postgresql://` URL. */
  readonly connstr: string;
  /** Shown in `pg_stat_activity`: `compute_ctl:apply_config`. */
  readonly applicationName: string;
  /** Another database than the connection string's. */
  readonly database?: string;
  /** Another user than the connection string's. */
  readonly user?: string;
  /** Lets the session also neutralize settings that only newer servers know. */
  readonly major?: PostgresMajor;
  /** 10 s unless told. */
  readonly connectTimeoutMs?: number;
  /** Settings of this session besides those of every session of ours; names that the server knows or placeholders. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Statements are sent without waiting for the answers to earlier ones. */
  readonly pipeline?: boolean;
  /** The connection broke while no query was waiting for it; the next query will fail. Never ends the process. */
  readonly onLost?: (error: Error) => void;
}

/**
 * Opens a session of ours: role `cloud_admin`, nothing that a database owner set in force, no TLS (contract: lifecycle.md
 * 1.3). The caller ends it with `end()`.
 *
 * @throws CodedError `bad_connstr`; `postgres_connect` with the driver's error, and so the SQLSTATE, as cause.
 */
export async function connectAsAdmin(options: AdminSessionOptions): Promise<Client> {
  const target = parseConnstr(options.connstr);
  const { default: pg } = await import("pg");
  const user = options.user ?? target.user;
  const database = options.database ?? target.database;
  const client = new pg.Client({
    host: target.host,
    port: target.port,
    user,
    database,
    // A function, even without a password: else the driver looks into the environment and ~/.pgpass.
    password: () => target.password ?? "",
    ssl: false,
    options: sessionOptions(target.options, options.major, options.settings),
    pipeline: options.pipeline ?? false,
    application_name: options.applicationName,
    connectionTimeoutMillis: options.connectTimeoutMs ?? 10_000,
    keepAlive: true,
  });
  // Without a listener a lost connection would be an uncaught exception.
  client.on("error", (error) => options.onLost?.(error));
  try {
    await client.connect();
  } catch (cause) {
    throw new CodedError(
      "postgres_connect",
      `cannot connect to database ${database} as ${user} at ${target.host}:${target.port}`,
      { cause },
    );
  }
  return client;
}
