/** A row as an object; the caller's SQL says what is in it. */
export type Row = Readonly<Record<string, unknown>>;

/** What one message of a pipeline came to: the rows of each of its statements, or what the server said. */
export type Answer = { readonly rows: readonly (readonly Row[])[] } | { readonly error: unknown };

/**
 * A session with the server, in one database, as the administrator and with the options that keep a database owner's
 * settings out (contract: reconcile.md 2.1). Whoever opens one ends it.
 */
export interface Session {
  /** The server process, for `pg_blocking_pids` and for never terminating ourselves. */
  readonly processId: number;
  /** Runs one statement; values are sent apart from it. */
  query<T extends object = Row>(sql: string, values?: readonly unknown[]): Promise<T[]>;
  /** Runs one message; several statements in it are one transaction. The rows of each statement. */
  script(sql: string): Promise<readonly (readonly Row[])[]>;
  /** Sends all messages before it reads the first answer. Answers come in the same order; one failure does not stop the rest. */
  pipeline(messages: readonly string[]): Promise<Answer[]>;
  end(): Promise<void>;
}

/** Opens a session in a database. The name is handed to the server as it is: it may hold anything. */
export type Connect = (database: string, applicationName: string) => Promise<Session>;

/** Names of our sessions in `pg_stat_activity` (contract: reconcile.md 2.2). */
export const APPLICATION_NAMES = {
  reconcile: "compute_ctl:apply_config",
  migrations: "compute_ctl:migrations",
  postApply: "compute_ctl:post_apply_config",
  installedExtensions: "compute_ctl:get_installed_extensions",
  dbsAndRoles: "compute_ctl:get_dbs_and_roles",
  grants: "compute_ctl:set_role_grants",
  extensions: "compute_ctl:install_extension",
  checkWritability: "compute_ctl:availability_checker",
  insights: "compute_ctl:collect_insights",
} as const;

/** Runs `work` in a session of its own and ends that, whatever happens. */
export async function withSession<T>(
  connect: Connect,
  database: string,
  applicationName: string,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await connect(database, applicationName);
  try {
    return await work(session);
  } finally {
    await session.end();
  }
}
