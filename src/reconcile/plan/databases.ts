import type { Planning } from "./plan.ts";

/** Entries that a visit leaves behind: default privileges on tables, and on sequences. */
const DEFAULT_GRANTS = 2;

/** Creates databases, changes owners, repairs the grant, and visits those that are not known to be right (contract: reconcile.md 6.6, 6.8, 15). */
export function planDatabases({ desired, draft, actions, warnings }: Planning): void {
  const phase = "CreateAndAlterDatabases";
  const visited: string[] = [];
  for (const { name, owner, options, template } of desired.databases) {
    const existing = draft.databases.get(name);
    if (!existing) {
      actions.push({ kind: "create_database", phase, name, owner, options, template });
    } else {
      if (existing.owner !== owner) actions.push({ kind: "change_owner", phase, name, owner });
      if (!existing.granted) actions.push({ kind: "grant_database", phase, name });
    }
    draft.databases.set(name, {
      ...(existing ?? NEW_DATABASE),
      owner,
      granted: true,
    });
    if (existing?.visited && existing.defaultGrants === DEFAULT_GRANTS) continue;
    if (existing?.restricted) {
      warnings.push(
        `skipping RunInEachDatabase phase ChangeSchemaPerms, database ${name} is (restrict_conn=true, invalid=false)`,
      );
      continue;
    }
    actions.push({ kind: "adjust_schema", phase: "RunInEachDatabase", database: name, owner });
    visited.push(name);
  }
  if (visited.length > 0) actions.push({ kind: "record_visits", phase: "RecordState", databases: visited });
}

const NEW_DATABASE = {
  observedName: undefined,
  restricted: false,
  invalid: false,
  template: false,
  defaultGrants: 0,
  visited: false,
  subscriptions: 0,
  enabledSubscriptions: 0,
};
