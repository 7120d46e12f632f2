import type { Operation } from "../desired.ts";
import type { Planning } from "./plan.ts";

/**
 * Renames, in list order, and which roles are to be dropped at the end (contract: reconcile.md 6.3, 6.7). A role that a
 * later rename replaces has to go before that rename: it is removed on the spot.
 */
export function planRoleOperations(planning: Planning): ReadonlySet<string> {
  const { observed, draft, operations, actions, problems } = planning;
  const deleted = finallyDeleted(operations);
  const refuse: Refuse = (name, code, message) => {
    problems.push({ object: { kind: "role", name }, code, message, fatal: false });
  };
  for (const [index, operation] of operations.entries()) {
    const { action, name } = operation;
    if (action === "delete_role") {
      const replacement = laterRename(operations, index, name);
      if (replacement && draft.roles.has(name) && draft.roles.has(replacement.name)) {
        // Without the source the rename is done already, and what has the name now is the renamed one: keep it.
        if (!mayBeDropped(planning, name, refuse)) continue;
        actions.push({ kind: "remove_role", phase: "RenameRoles", name });
        draft.removeRole(name, observed.admin);
      }
    }
    if (action === "rename_role") {
      if (!draft.roles.has(name)) continue;
      if (draft.roles.has(operation.newName)) {
        const message = `operation rename_role of ${JSON.stringify(name)} to ${JSON.stringify(operation.newName)}: both exist`;
        refuse(name, "42710", message);
        continue;
      }
      actions.push({ kind: "rename_role", phase: "RenameRoles", name, newName: operation.newName });
      draft.renameRole(name, operation.newName);
    }
  }
  for (const name of deleted) if (!mayBeDropped(planning, name, refuse)) deleted.delete(name);
  const dropped = [...deleted].filter((name) => draft.roles.has(name));
  if (dropped.length > 0) {
    const databases = new Set(dropped.flatMap((name) => draft.roles.get(name)?.references ?? []));
    if (databases.size > 0)
      actions.push({
        kind: "drop_role_references",
        phase: "RunInEachDatabase",
        roles: dropped,
        databases: [...databases].filter((database) => database !== null).sort(),
      });
    for (const name of dropped) {
      actions.push({ kind: "drop_role", phase: "DropRoles", name });
      draft.removeRole(name, observed.admin);
    }
  }
  // A role of the spec that is deleted in the same breath is not created first.
  return deleted;
}

/** Roles whose deletion comes after everything else: all that no later rename replaces. */
export function finallyDeleted(operations: readonly Operation[]): Set<string> {
  const deleted = operations.filter(
    ({ action, name }, index) => action === "delete_role" && !laterRename(operations, index, name),
  );
  return new Set(deleted.map(({ name }) => name));
}

type Refuse = (name: string, code: string, message: string) => void;

function mayBeDropped({ desired, observed, draft }: Planning, name: string, refuse: Refuse): boolean {
  if (!draft.roles.has(name) && !desired.roles.some((role) => role.name === name)) return true;
  const shown = JSON.stringify(name);
  if (name === observed.admin || name === desired.privilegedRole || name.startsWith("pg_")) {
    refuse(name, "2BP01", `operation delete_role of ${shown}: the compute itself needs this role`);
    return false;
  }
  const owned = desired.databases.find(({ owner }) => owner === name);
  if (!owned) return true;
  const database = JSON.stringify(owned.name);
  refuse(name, "2BP01", `operation delete_role of ${shown}: the spec names it as the owner of database ${database}`);
  return false;
}

function laterRename(operations: readonly Operation[], index: number, newName: string): Operation | undefined {
  return operations
    .slice(index + 1)
    .find((operation) => operation.action === "rename_role" && operation.newName === newName);
}
