import type { Planning } from "./plan.ts";

/** What `--lakebase-mode true` adds; hosted only (contract: reconcile.md 18). */
const ROLES = [
  { role: "databricks_monitor", attributes: "LOGIN IN ROLE pg_monitor" },
  { role: "databricks_control_plane", attributes: "SUPERUSER LOGIN" },
  { role: "databricks_gateway", attributes: "LOGIN" },
] as const;

export function planLakebase({ observed, draft, actions }: Planning): void {
  for (const { role, attributes } of ROLES)
    if (!draft.roles.has(role))
      actions.push({ kind: "create_databricks_role", phase: "CreateDatabricksRoles", role, attributes });
  actions.push({ kind: "limit_databricks_readers", phase: "AlterDatabricksRoles" });
  if (observed.available.has("databricks_auth"))
    actions.push({ kind: "recreate_databricks_auth", phase: "HandleDatabricksAuthExtension" });
  actions.push({ kind: "grant_databricks_monitor", phase: "AddDatabricksGrants" });
  actions.push({ kind: "create_databricks_functions", phase: "CreateDatabricksMisc" });
}
