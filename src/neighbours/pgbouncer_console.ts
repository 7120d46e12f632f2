import { CodedError } from "../errors/coded_error.ts";

/** How the admin console of a pgbouncer is reached. */
export interface PgbouncerConsole {
  /** A name, or the directory of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password?: string | undefined;
}

export interface ConsoleSession {
  /** Runs one admin command such as `RELOAD`. Rejects with the driver's error. */
  command(text: string): Promise<void>;
  end(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 10_000;

/**
 * Opens a session with the admin console, without TLS. Throws `pgbouncer_connect` with the driver's error as cause; the
 * text names the target, never the password.
 */
export async function connectToConsole(target: PgbouncerConsole): Promise<ConsoleSession> {
  const { host, port, database, user, password } = target;
  const { default: pg } = await import("pg");
  const client = new pg.Client({
    host,
    port,
    database,
    user,
    // A function, even without a password: else the driver looks into the environment and ~/.pgpass.
    password: () => password ?? "",
    ssl: false,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: CONNECT_TIMEOUT_MS,
  });
  // Without a listener a lost connection would be an uncaught exception; the next command reports it.
  client.on("error", () => undefined);
  try {
    await client.connect();
  } catch (cause) {
    throw new CodedError("pgbouncer_connect", `cannot connect to pgbouncer as ${user} at ${host}:${port}`, { cause });
  }
  return {
    async command(text) {
      await client.query(text);
    },
    end: () => client.end(),
  };
}
