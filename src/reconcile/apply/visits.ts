import { quoteLiteral, quoteTextArray } from "../../wire/sql_quoting.ts";
import type { ActionOf } from "../action.ts";
import { storeState } from "../sql/action_sql.ts";
import { formatVisits, MAX_STATE_BYTES, visitMark } from "../state_tables.ts";
import type { Execution } from "./execution.ts";

/**
 * Remembers which databases are right, so that the next run need not visit them: those that this run has visited and
 * those that were known before and still exist. One row, whatever their number.
 */
export async function recordVisits(execution: Execution, action: ActionOf<"record_visits">): Promise<void> {
  const names = action.databases.filter((name) => !execution.hasFailed({ kind: "database", name }));
  try {
    const { observed } = execution.input;
    const rows = await execution.system.query<{ oid: string; name: string }>(
      `SELECT oid::int8::text AS oid, datname::text AS name FROM pg_database
       WHERE datname = ANY (${quoteTextArray([...names, ...observed.databases.keys()])})`,
    );
    const mark = visitMark(observed.serverMajor);
    const fresh = new Set(names);
    const known = new Set([...observed.databases.values()].filter(({ visited }) => visited).map(({ oid }) => oid));
    const visits = new Map<number, string>();
    for (const { oid, name } of rows) if (fresh.has(name) || known.has(Number(oid))) visits.set(Number(oid), mark);
    const value = formatVisits(visits);
    if (value.length >= MAX_STATE_BYTES) return;
    const failed = await execution.attempt(execution.system, action.phase, storeState("visits", quoteLiteral(value)));
    if (failed) execution.fail(action, failed);
    else execution.succeed(action);
  } catch (error) {
    execution.input.signal?.throwIfAborted();
    execution.fail(action, { error, blockers: [] });
  }
}
