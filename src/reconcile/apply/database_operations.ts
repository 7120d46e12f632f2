import { setTimeout as delay } from "node:timers/promises";
import { quoteIdentifier, quoteLiteral } from "../../wire/sql_quoting.ts";
import type { Action, ActionOf } from "../action.ts";
import { sqlState } from "../failure.ts";
import { APPLICATION_NAMES, withSession } from "../session.ts";
import type { PlainAction } from "../sql/action_sql.ts";
import type { Attempt, Execution } from "./execution.ts";

const OBJECT_IN_USE = "55006";

/** Renames and drops, one after the other: a later one may need the name that an earlier one frees. */
export async function renameAndDeleteDatabases(execution: Execution, actions: readonly Action[]): Promise<void> {
  for (const action of actions) {
    if (execution.isPointless(action)) continue;
    if (action.kind === "rename_database") await rename(execution, action);
    else if (action.kind === "drop_database") await drop(execution, action);
    else await execution.run(execution.system, [action as PlainAction]);
  }
}

/** How long a rename may take before the sessions in the database are looked at, and how often then. */
const RENAME_PATIENCE_MS = 20;

/**
 * RENAME waits 5 s for the sessions of the database and holds the lock that new ones need. So they are terminated from a
 * second session while it waits: it cannot lose that race, and the database never refuses anybody (contract: reconcile.md 6.5).
 */
async function rename(execution: Execution, action: ActionOf<"rename_database">): Promise<void> {
  const statement = `ALTER DATABASE ${quoteIdentifier(action.name)} RENAME TO ${quoteIdentifier(action.newName)}`;
  const done = new AbortController();
  const renaming = execution
    .attempt(execution.system, action.phase, statement)
    .catch((error: unknown): Attempt => ({ error, blockers: [] }))
    .finally(() => done.abort());
  const terminating = terminateSessions(execution, action.name, done.signal);
  const failed = await renaming;
  await terminating;
  if (failed) execution.fail(action, failed);
  else execution.succeed(action);
}

async function terminateSessions(execution: Execution, database: string, done: AbortSignal): Promise<void> {
  const pause = async (): Promise<boolean> =>
    await delay(RENAME_PATIENCE_MS, true, { signal: done }).catch(() => false);
  if (!(await pause())) return;
  try {
    await withSession(
      execution.input.connect,
      execution.input.desired.systemDatabase,
      APPLICATION_NAMES.reconcile,
      async (session) => {
        do {
          await session.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()",
            [database],
          );
        } while (await pause());
      },
    );
  } catch (error) {
    execution.input.log.warn("cannot terminate the sessions of a database that is being renamed", {
      reason: String(error),
    });
  }
}

const DROP_TRIES = 50;
const DROP_PAUSE_MS = 20;

/** With FORCE, and against active logical slots, which FORCE does not touch (contract: reconcile.md 6.5). */
async function drop(execution: Execution, action: ActionOf<"drop_database">): Promise<void> {
  const database = quoteIdentifier(action.name);
  const statement = `DROP DATABASE IF EXISTS ${database} WITH (FORCE)`;
  const { system } = execution;
  const dropOnce = (): Promise<Attempt | undefined> => execution.attempt(system, action.phase, statement);
  let failed = action.template
    ? await execution.attempt(system, action.phase, `ALTER DATABASE ${database} IS_TEMPLATE false`)
    : undefined;
  failed ??= await dropOnce();
  if (failed && sqlState(failed.error) === OBJECT_IN_USE && (await terminateSlots(execution, action.name)) > 0) {
    failed = await execution.attempt(system, action.phase, `ALTER DATABASE ${database} ALLOW_CONNECTIONS false`);
    for (let tries = 0; tries < DROP_TRIES && (tries === 0 || failed); tries++) {
      if (tries > 0) await delay(DROP_PAUSE_MS);
      await terminateSlots(execution, action.name);
      failed = await dropOnce();
      if (failed && sqlState(failed.error) !== OBJECT_IN_USE) break;
    }
    // Else the next run could not look into it, and its users could not get in.
    if (failed) await execution.attempt(system, action.phase, `ALTER DATABASE ${database} ALLOW_CONNECTIONS true`);
  }
  if (failed) execution.fail(action, failed);
  else execution.succeed(action);
}

async function terminateSlots(execution: Execution, database: string): Promise<number> {
  const rows = await execution.system.query(
    `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = ${quoteLiteral(database)} AND active_pid IS NOT NULL`,
  );
  return rows.length;
}
