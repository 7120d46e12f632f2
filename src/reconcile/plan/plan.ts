import type { Action } from "../action.ts";
import type { Desired } from "../desired.ts";
import type { Observed } from "../observed.ts";
import { PHASES } from "../phase.ts";
import type { Problem } from "../problem.ts";
import { planDatabaseOperations } from "./database_operations.ts";
import { planDatabases } from "./databases.ts";
import { Draft } from "./draft.ts";
import { planLakebase } from "./lakebase.ts";
import { planPrivilegedRole } from "./privileged_role.ts";
import { finallyDeleted, planRoleOperations } from "./role_operations.ts";
import { planRoles } from "./roles.ts";
import { planSubscriptions } from "./subscriptions.ts";
import { planSystemDatabase } from "./system_database.ts";

/** What has to be done, in the order of the phases, and what cannot be. */
export interface Plan {
  readonly actions: readonly Action[];
  readonly problems: readonly Problem[];
  /** For the log: what is left out, and why. */
  readonly warnings: readonly string[];
}

/** What the parts of a plan share while it is made. */
export interface Planning {
  readonly desired: Desired;
  readonly observed: Observed;
  readonly draft: Draft;
  /** Operations that are still to be done. */
  readonly operations: Desired["operations"];
  readonly actions: Action[];
  readonly problems: Problem[];
  readonly warnings: string[];
}

/**
 * Compares what is wanted with what is there. Pure: equal arguments give equal plans, and a plan that was carried out
 * leaves nothing to plan (contract: reconcile.md 5 and 6).
 */
export function plan(desired: Desired, observed: Observed): Plan {
  const done = desired.operationKey !== undefined && desired.operationKey === observed.completedOperations;
  const planning: Planning = {
    desired,
    observed,
    draft: new Draft(observed),
    operations: done ? [] : desired.operations,
    actions: [],
    problems: [...desired.problems],
    warnings: [],
  };
  planPrivilegedRole(planning);
  for (const [name, database] of planning.draft.databases) {
    if (!database.invalid) continue;
    planning.actions.push({ kind: "drop_invalid_database", phase: "DropInvalidDatabases", name });
    planning.draft.databases.delete(name);
  }
  // A role that this spec lists and deletes stays away, also when it is applied again.
  const deletedRoles = done ? finallyDeleted(desired.operations) : planRoleOperations(planning);
  planRoles(planning, deletedRoles);
  planDatabaseOperations(planning);
  planDatabases(planning);
  planSubscriptions(planning);
  planSystemDatabase(planning);
  if (desired.lakebase) planLakebase(planning);
  if (desired.operationKey !== undefined && !done)
    planning.actions.push({ kind: "record_operations", phase: "RecordState", key: desired.operationKey });
  const { actions, problems, warnings } = planning;
  return { actions: inPhases(actions), problems, warnings };
}

/** Stable: within a phase the order is the one in which the actions were planned. */
function inPhases(actions: readonly Action[]): Action[] {
  return PHASES.flatMap((phase) => actions.filter((action) => action.phase === phase));
}
