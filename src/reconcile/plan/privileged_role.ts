import type { RoleAttributes } from "../observed.ts";
import type { Planning } from "./plan.ts";

/** Memberships and functions by the migration that grants them, and from which major on (contract: reconcile.md 6.1, 9). */
const MEMBERSHIPS = [
  { role: "pg_read_all_data", admin: false, migration: 0, since: 14 },
  { role: "pg_write_all_data", admin: false, migration: 0, since: 14 },
  { role: "pg_create_subscription", admin: false, migration: 3, since: 16 },
  { role: "pg_monitor", admin: true, migration: 4, since: 14 },
  { role: "pg_signal_backend", admin: true, migration: 12, since: 14 },
] as const;

const FUNCTIONS = [
  { name: "pg_export_snapshot", migration: 10, since: 16 },
  { name: "pg_log_standby_snapshot", migration: 10, since: 16 },
  { name: "pg_show_replication_origin_status", migration: 11, since: 14 },
] as const;

/**
 * Creates the privileged role; of one that exists, repairs what it has lost. What a migration grants is left to that
 * migration until the cluster's counter has passed it (contract: reconcile.md 9, rough edges).
 */
export function planPrivilegedRole({ desired, observed, draft, actions }: Planning): void {
  const role = desired.privilegedRole;
  const existing = draft.roles.get(role);
  const attributes: RoleAttributes = {
    login: false,
    inherit: true,
    createrole: true,
    createdb: true,
    replication: !desired.lakebase,
    bypassrls: true,
  };
  if (!existing) {
    const replication = attributes.replication;
    actions.push({ kind: "create_privileged_role", phase: "CreatePrivilegedRole", role, replication });
    draft.roles.set(role, { password: null, superuser: false, attributes, references: [] });
  } else {
    const wrong = (Object.keys(attributes) as (keyof RoleAttributes)[]).filter(
      // Lakebase leaves REPLICATION out when it creates the role; it does not take it away.
      (name) => attributes[name] !== existing.attributes[name] && !(name === "replication" && desired.lakebase),
    );
    if (wrong.length > 0)
      actions.push({
        kind: "alter_privileged_role",
        phase: "RepairPrivilegedRole",
        role,
        attributes: wrong.map((name) => (attributes[name] ? name : `no${name}`).toUpperCase()),
      });
  }
  const has = observed.privileged;
  const due = (item: { migration: number; since: number }): boolean =>
    item.since <= observed.serverMajor && item.migration <= observed.migration;
  for (const item of MEMBERSHIPS) {
    const held = has?.memberOf.get(item.role);
    // The statement that creates the role makes it a member of those without a migration.
    if (!due(item) || (!existing && item.migration === 0)) continue;
    if (held === undefined || (item.admin && !held))
      actions.push({ kind: "grant_membership", phase: "RepairPrivilegedRole", role, of: item.role, admin: item.admin });
  }
  for (const item of FUNCTIONS)
    if (due(item) && !has?.executes.has(item.name))
      actions.push({ kind: "grant_execute", phase: "RepairPrivilegedRole", role, functionName: item.name });
}
