import type { Planning } from "./plan.ts";

/** `rename_db` and `delete_db`, interleaved in list order (contract: reconcile.md 6.5). */
export function planDatabaseOperations({ desired, draft, operations, actions, problems }: Planning): void {
  const phase = "RenameAndDeleteDatabases";
  const refuse = (name: string, code: string, message: string): void => {
    problems.push({ object: { kind: "database", name }, code, message, fatal: false });
  };
  for (const [index, operation] of operations.entries()) {
    const { action, name } = operation;
    const database = draft.databases.get(name);
    if (!database) continue;
    const shown = JSON.stringify(name);
    if ((action === "delete_db" || action === "rename_db") && name === desired.systemDatabase) {
      refuse(name, "55006", `operation ${action} of ${shown}: the compute itself needs this database`);
      continue;
    }
    if (action === "delete_db") {
      const replaced = operations
        .slice(index + 1)
        .find((later) => later.action === "rename_db" && later.newName === name);
      // Without its source that rename is done already, and what has the name now is the renamed one: keep it.
      if (replaced && !draft.databases.has(replaced.name)) continue;
      if (database.observedName !== undefined && database.subscriptions > 0 && !database.restricted)
        actions.push({ kind: "drop_subscriptions", phase: "PreDropSubscriptions", database: database.observedName });
      actions.push({ kind: "drop_database", phase, name, template: database.template });
      draft.databases.delete(name);
    }
    if (action === "rename_db") {
      if (draft.databases.has(operation.newName)) {
        const message = `operation rename_db of ${shown} to ${JSON.stringify(operation.newName)}: both exist`;
        refuse(name, "42P04", message);
        continue;
      }
      actions.push({ kind: "rename_database", phase, name, newName: operation.newName });
      draft.renameDatabase(name, operation.newName);
    }
  }
}
