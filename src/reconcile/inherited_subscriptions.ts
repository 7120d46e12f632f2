import { quoteLiteral } from "../wire/sql_quoting.ts";

/**
 * What a single-user `postgres` is fed before a stock server starts on a new branch: without Neon's setting the apply
 * workers of inherited subscriptions would be running before anybody can connect, and take the parent's slots. One
 * statement reaches all databases, because `pg_subscription` is shared; those of this timeline that were dealt with
 * already are left alone (contract: reconcile.md 7, remedy a).
 *
 * One line, without a line break inside: single-user mode ends a command at the end of the line.
 */
export function disableInheritedSubscriptions(timelineId: string): string {
  const timeline = quoteLiteral(quoteLiteral(timelineId));
  return [
    "DO $x$ DECLARE done boolean := false;",
    "BEGIN IF to_regclass('neon.drop_subscriptions_done') IS NOT NULL THEN",
    `EXECUTE 'SELECT EXISTS (SELECT FROM neon.drop_subscriptions_done WHERE id = 1 AND timeline_id = ' || ${timeline} || ')' INTO done;`,
    "END IF;",
    "IF NOT done THEN UPDATE pg_catalog.pg_subscription SET subenabled = false WHERE subenabled; END IF;",
    "END $x$;\n",
  ].join(" ");
}

/**
 * The arguments of that `postgres`. It must not wait for a standby (nobody would acknowledge, and its COMMIT waits for
 * ever), must not lose the WAL segment in which the proposer has to begin, and must not load what cannot be loaded.
 */
export function singleUserArguments(pgdata: string, database: string): string[] {
  const settings = {
    synchronous_standby_names: "",
    shared_preload_libraries: "",
    local_preload_libraries: "",
    session_preload_libraries: "",
    search_path: "",
    default_transaction_read_only: "off",
    exit_on_error: "on",
    wal_keep_size: "64MB",
    log_min_messages: "error",
  };
  return [
    "--single",
    "-D",
    pgdata,
    ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
    database,
  ];
}
