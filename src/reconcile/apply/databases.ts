import type { Action, ActionOf } from "../action.ts";
import { forEachAtMost } from "../concurrency.ts";
import type { Session } from "../session.ts";
import type { Execution } from "./execution.ts";

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
      for (const action of due) execution.fail(action, { error, blockers: [] }, database);
      return;
    }
    try {
      await execution.run(session, due, database);
    } finally {
      await session.end();
    }
  });
}
