import type { Password } from "./password.ts";
import type { Phase } from "./phase.ts";
import type { ObjectRef } from "./problem.ts";

/** One thing to do. `database` is where it runs; without it, in the system database. */
export type Action =
  | { readonly kind: "drop_subscriptions"; readonly phase: Phase; readonly database: string }
  | {
      readonly kind: "create_privileged_role";
      readonly phase: Phase;
      readonly role: string;
      readonly replication: boolean;
    }
  | {
      readonly kind: "alter_privileged_role";
      readonly phase: Phase;
      readonly role: string;
      readonly attributes: readonly string[];
    }
  | {
      readonly kind: "grant_membership";
      readonly phase: Phase;
      readonly role: string;
      readonly of: string;
      readonly admin: boolean;
    }
  | { readonly kind: "grant_execute"; readonly phase: Phase; readonly role: string; readonly functionName: string }
  | {
      readonly kind: "create_databricks_role";
      readonly phase: Phase;
      readonly role: string;
      readonly attributes: string;
    }
  | { readonly kind: "limit_databricks_readers"; readonly phase: Phase }
  | { readonly kind: "recreate_databricks_auth"; readonly phase: Phase }
  | { readonly kind: "grant_databricks_monitor"; readonly phase: Phase }
  | { readonly kind: "create_databricks_functions"; readonly phase: Phase }
  | { readonly kind: "drop_invalid_database"; readonly phase: Phase; readonly name: string }
  | { readonly kind: "rename_role"; readonly phase: Phase; readonly name: string; readonly newName: string }
  | { readonly kind: "remove_role"; readonly phase: Phase; readonly name: string }
  | RoleAction<"create_role">
  | RoleAction<"alter_role">
  | { readonly kind: "rename_database"; readonly phase: Phase; readonly name: string; readonly newName: string }
  | { readonly kind: "drop_database"; readonly phase: Phase; readonly name: string; readonly template: boolean }
  | {
      readonly kind: "create_database";
      readonly phase: Phase;
      readonly name: string;
      readonly owner: string;
      readonly options: string;
      readonly template: string | undefined;
    }
  | { readonly kind: "change_owner"; readonly phase: Phase; readonly name: string; readonly owner: string }
  | { readonly kind: "grant_database"; readonly phase: Phase; readonly name: string }
  | { readonly kind: "create_schema_neon"; readonly phase: Phase }
  | {
      readonly kind: "drop_role_references";
      readonly phase: Phase;
      readonly roles: readonly string[];
      /** As observed, for people; what is visited is read again when it runs. */
      readonly databases: readonly string[];
    }
  | { readonly kind: "adjust_schema"; readonly phase: Phase; readonly database: string; readonly owner: string }
  | { readonly kind: "disable_subscriptions"; readonly phase: Phase; readonly databases: readonly string[] }
  | { readonly kind: "create_extension"; readonly phase: Phase; readonly extension: string; readonly schema: string }
  | { readonly kind: "move_extension"; readonly phase: Phase; readonly extension: string; readonly schema: string }
  | { readonly kind: "update_extension"; readonly phase: Phase; readonly extension: string }
  | { readonly kind: "create_availability_table"; readonly phase: Phase }
  | { readonly kind: "drop_role"; readonly phase: Phase; readonly name: string }
  | { readonly kind: "record_subscriptions_dropped"; readonly phase: Phase; readonly timeline: string }
  | { readonly kind: "exclude_from_audit"; readonly phase: Phase; readonly database: string }
  | { readonly kind: "record_visits"; readonly phase: Phase; readonly databases: readonly string[] }
  | { readonly kind: "record_operations"; readonly phase: Phase; readonly key: string };

interface RoleAction<Kind extends "create_role" | "alter_role"> {
  readonly kind: Kind;
  readonly phase: Phase;
  readonly name: string;
  readonly options: string;
  readonly password: Password;
  /** Only for `create_role`: with attributes and membership in the privileged role. */
  readonly member: boolean;
}

export type ActionOf<Kind extends Action["kind"]> = Extract<Action, { readonly kind: Kind }>;

/** The one role, database or other object that fails when the action fails. */
export function actionObject(action: Action): ObjectRef {
  switch (action.kind) {
    case "create_role":
    case "alter_role":
    case "rename_role":
    case "remove_role":
    case "drop_role":
      return { kind: "role", name: action.name };
    case "create_databricks_role":
      return { kind: "role", name: action.role };
    case "drop_invalid_database":
    case "rename_database":
    case "drop_database":
    case "create_database":
    case "change_owner":
    case "grant_database":
      return { kind: "database", name: action.name };
    case "drop_subscriptions":
    case "adjust_schema":
    case "exclude_from_audit":
      return { kind: "database", name: action.database };
    case "create_extension":
    case "move_extension":
    case "update_extension":
      return { kind: "extension", name: action.extension };
    default:
      return { kind: "cluster" };
  }
}

const ABOUT_THE_COMPUTE: ReadonlySet<Action["kind"]> = new Set([
  "create_privileged_role",
  "create_schema_neon",
  "drop_subscriptions",
  "disable_subscriptions",
  "record_subscriptions_dropped",
]);

/**
 * Whether the compute must not run when the action fails, whatever the policy for single objects is: without the
 * privileged role nobody can work, and with a parent's subscriptions still there it would compete with the parent.
 */
export function isAboutTheCompute(action: Action): boolean {
  return ABOUT_THE_COMPUTE.has(action.kind);
}
