import type { Action, ActionOf } from "../action.ts";
import { actionSql } from "../sql/action_sql.ts";
import type { Execution } from "./execution.ts";

/**
 * All roles in one transaction: one commit instead of one each. When anything in it fails, one by one, which gives every
 * other role its due and says which one it was (contract: reconcile.md 15).
 */
export async function createAndAlterRoles(execution: Execution, actions: readonly Action[]): Promise<void> {
  const roles = actions.filter(
    (action): action is ActionOf<"create_role" | "alter_role"> =>
      action.kind === "create_role" || action.kind === "alter_role",
  );
  if (roles.length > 1) {
    try {
      const message = roles.map((action) => actionSql(action, execution.sql)).join(";\n");
      if ((await execution.attempt(execution.system, "CreateAndAlterRoles", message)) === undefined) {
        for (const action of roles) execution.succeed(action);
        return;
      }
    } catch (error) {
      execution.input.signal?.throwIfAborted();
      // A text that cannot be sent at all: the one by one run reports it at the right role.
      execution.input.log.debug("roles are changed one by one", { reason: String(error) });
    }
  }
  await execution.run(execution.system, roles);
}
