import type { Action, ActionOf } from "../action.ts";
import { forEachAtMost } from "../concurrency.ts";
import { sqlState } from "../failure.ts";
import type { Session } from "../session.ts";
import { DISABLE_SUBSCRIPTIONS, DROP_SUBSCRIPTIONS } from "../sql/database_visit.ts";
import type { Execution } from "./execution.ts";

const GONE = "3D000";

type DatabaseAction = ActionOf<"adjust_schema" | "drop_subscriptions">;

/** One session a database, opened only where there is something to do, a limited number at a time (contract: reconcile.md 2.4). */
export async function runInDatabases(execution: Execution, actions: readonly Action[]): Promise<void> {
  const byDatabase = new Map<string, DatabaseAction[]>();
  for (const action of actions) {
    if (action.kind !== "adjust_schema" && action.kind !== "drop_subscriptions") continue;
    if (execution.isPointless(action)) continue;
    byDatabase.set(action.database, [...(byDatabase.get(action.database) ?? []), action]);
  }
  await forEachAtMost(execution.input.concurrency, [...byDatabase], async ([database, due]) => {
    let session: Session;
    try {
      session = await execution.open(database);
    } catch (error) {
      if (sqlState(error) === GONE && due.every(({ phase }) => phase === "PreDropSubscriptions")) {
        // It was to be dropped anyway.
        execution.input.log.warn(`Error dropping subscription: database ${database} does not exist`);
        return;
      }
      for (const action of due) execution.fail(action, { error, blockers: [] }, database);
      return;
    }
    try {
      await execution.run(
        session,
        due.filter((action) => action.kind === "adjust_schema"),
        database,
      );
      for (const action of due)
        if (action.kind === "drop_subscriptions") await dropSubscriptions(execution, session, action);
    } finally {
      await session.end();
    }
  });
}

const DROP_TRIES = 5;
/** A worker that is on its way out holds what the drop needs, and waits for what the drop holds. */
const WORKER_IN_THE_WAY: ReadonlySet<string | undefined> = new Set(["40P01", "55006"]);

async function dropSubscriptions(
  execution: Execution,
  session: Session,
  action: ActionOf<"drop_subscriptions">,
): Promise<void> {
  let failed = await execution.attempt(session, action.phase, DISABLE_SUBSCRIPTIONS);
  for (let tries = 0; tries < DROP_TRIES; tries++) {
    failed ??= await execution.attempt(session, action.phase, DROP_SUBSCRIPTIONS);
    if (!failed) return execution.succeed(action);
    if (!WORKER_IN_THE_WAY.has(sqlState(failed.error))) break;
    if (tries < DROP_TRIES - 1) failed = undefined;
  }
  if (failed) execution.fail(action, failed, action.database);
}
