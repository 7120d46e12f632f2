import type { Action } from "../action.ts";
import type { Failure } from "../failure.ts";
import { PHASES, type Phase } from "../phase.ts";
import type { PlainAction } from "../sql/action_sql.ts";
import { createDatabases } from "./create_databases.ts";
import { renameAndDeleteDatabases } from "./database_operations.ts";
import { runInDatabases } from "./databases.ts";
import { Execution, type ExecutionInput } from "./execution.ts";
import { dropRoleReferencesEverywhere, dropRoles, renameRoles } from "./role_removal.ts";
import { createAndAlterRoles } from "./roles.ts";
import { recordVisits } from "./visits.ts";

/** What a run did. */
export interface Applied {
  readonly actions: readonly Action[];
  readonly failures: readonly Failure[];
}

type Handler = (execution: Execution, actions: readonly Action[]) => Promise<void>;

/** Phases that are more than statements in the system database. */
const HANDLERS: Partial<Record<Phase, Handler>> = {
  PreDropSubscriptions: runInDatabases,
  RenameRoles: renameRoles,
  CreateAndAlterRoles: createAndAlterRoles,
  RenameAndDeleteDatabases: renameAndDeleteDatabases,
  CreateAndAlterDatabases: createDatabases,
  RunInEachDatabase: async (execution, actions) => {
    for (const action of actions)
      if (action.kind === "drop_role_references") await dropRoleReferencesEverywhere(execution, action);
    await runInDatabases(execution, actions);
  },
  DropRoles: dropRoles,
  RecordState: async (execution, actions) => {
    for (const action of actions) {
      if (action.kind === "record_visits") await recordVisits(execution, action);
      // Operations that have not all succeeded are to be repeated.
      if (action.kind === "record_operations" && execution.failures.length === 0)
        await execution.run(execution.system, [action]);
    }
  },
};

/**
 * Carries out a plan, phase by phase. Failures are collected, never thrown; with `stopAtFailure` the phases after one
 * with a failure are left out (contract: reconcile.md 5, 11), else only what is about the failed object.
 */
export async function apply(
  actions: readonly Action[],
  input: ExecutionInput & { readonly stopAtFailure: boolean },
): Promise<Applied> {
  const execution = new Execution(input);
  for (const phase of PHASES) {
    const due = actions.filter((action) => action.phase === phase && !execution.isPointless(action));
    if (due.length === 0) continue;
    input.log.info(`Applying phase ${phase}`);
    try {
      await (HANDLERS[phase] ?? runInSystemDatabase)(execution, due);
    } catch (error) {
      input.signal?.throwIfAborted();
      execution.giveUp(phase, error);
    }
    if (execution.failures.some(({ fatal }) => fatal || input.stopAtFailure)) break;
  }
  return { actions: execution.applied, failures: execution.failures };
}

async function runInSystemDatabase(execution: Execution, actions: readonly Action[]): Promise<void> {
  await execution.run(execution.system, actions as readonly PlainAction[]);
}
