import { passwordIsSet } from "../password.ts";
import type { Planning } from "./plan.ts";

/** Roles that are missing or have another password (contract: reconcile.md 6.4). Nothing else of a role is ever repaired. */
export function planRoles({ desired, draft, actions }: Planning, deleted: ReadonlySet<string>): void {
  for (const role of desired.roles) {
    if (deleted.has(role.name)) continue;
    const existing = draft.roles.get(role.name);
    const fields = {
      phase: "CreateAndAlterRoles",
      name: role.name,
      options: role.options,
      password: role.password,
    } as const;
    if (!existing) {
      actions.push({ kind: "create_role", ...fields, member: !role.plain });
      const may = !role.plain;
      draft.roles.set(role.name, {
        password: role.password,
        superuser: false,
        attributes: { login: true, inherit: true, createrole: may, createdb: may, replication: may, bypassrls: may },
        references: [],
      });
    } else if (existing.password === undefined || !passwordIsSet(role.password, existing.password, role.name)) {
      actions.push({ kind: "alter_role", ...fields, member: false });
      draft.roles.set(role.name, { ...existing, password: role.password });
    }
  }
}
