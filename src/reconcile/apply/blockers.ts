import { APPLICATION_NAMES, type Connect, type Session, withSession } from "../session.ts";

const BLOCKERS = `SELECT format('process %s (user %s, database %s, application %s, %s since %s)', a.pid, quote_ident(a.usename),
    quote_ident(a.datname), quote_literal(a.application_name), a.state, to_char(a.state_change, 'HH24:MI:SS')) AS blocker
  FROM unnest(pg_blocking_pids($1)) b JOIN pg_stat_activity a ON a.pid = b`;

/**
 * Runs `work`, and while it is still running looks who is in the way of the session: once the lock timeout has struck,
 * nobody can tell any more. A second session is opened only when something takes long.
 */
export async function withBlockers<T>(
  { connect, database, lockTimeoutMs }: { connect: Connect; database: string; lockTimeoutMs: number },
  session: Session,
  work: () => Promise<T>,
): Promise<{ readonly result: T; readonly blockers: readonly string[] }> {
  let blockers: readonly string[] = [];
  let looking: Promise<void> | undefined;
  const look = async (): Promise<void> => {
    const rows = await withSession(connect, database, APPLICATION_NAMES.reconcile, (other) =>
      other.query<{ blocker: string }>(BLOCKERS, [session.processId]),
    );
    if (rows.length > 0) blockers = rows.map(({ blocker }) => blocker);
  };
  const timer = setInterval(
    () => {
      // A look that fails costs a name in a message; the statement itself will report what is wrong.
      looking ??= look()
        .catch(() => undefined)
        .finally(() => {
          looking = undefined;
        });
    },
    Math.max(50, lockTimeoutMs / 3),
  );
  try {
    const result = await work();
    await looking;
    return { result, blockers };
  } finally {
    clearInterval(timer);
  }
}
