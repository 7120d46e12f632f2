import { createHash } from "node:crypto";
import type { DeltaOperation, GenericOption } from "../spec/cluster.ts";
import type { ComputeSpec } from "../spec/schema.ts";
import { invalidName, serializeOptions } from "../wire/sql_quoting.ts";
import { type Password, passwordFromSpec } from "./password.ts";
import { formatObject, type ObjectRef, type Problem } from "./problem.ts";

/** The fields of a spec that the reconciler reads (contract: reconcile.md 3). */
export type ReconcileSpec = Pick<
  ComputeSpec,
  "cluster" | "delta_operations" | "drop_subscriptions_before_start" | "audit_log_level"
> & {
  readonly timeline_id?: string | null;
  readonly operation_uuid?: string | null;
  readonly local_proxy_config?: {
    readonly jwks?: readonly { readonly role_names: readonly string[] }[] | null;
  } | null;
};

interface DesiredRole {
  readonly name: string;
  /** Serialised options, raw SQL. */
  readonly options: string;
  readonly password: Password;
  /** Created without attributes and membership: a role that only local_proxy hands out. */
  readonly plain: boolean;
}

interface DesiredDatabase {
  readonly name: string;
  readonly owner: string;
  readonly options: string;
  /** What `TEMPLATE` in the options names, when it does. */
  readonly template: string | undefined;
}

export type Operation =
  | { readonly action: "delete_db" | "delete_role"; readonly name: string }
  | { readonly action: "rename_db" | "rename_role"; readonly name: string; readonly newName: string };

/** What the cluster has to look like, and what has to happen to it on the way. */
export interface Desired {
  readonly systemDatabase: string;
  readonly privilegedRole: string;
  readonly neonServer: boolean;
  readonly lakebase: boolean;
  readonly roles: readonly DesiredRole[];
  readonly databases: readonly DesiredDatabase[];
  /** In the order of the list. */
  readonly operations: readonly Operation[];
  /** Names this list of operations, so that it runs once; undefined without an `operation_uuid`. */
  readonly operationKey: string | undefined;
  /** Set when inherited subscriptions have to go, once per timeline. */
  readonly dropSubscriptionsFor: string | undefined;
  readonly statStatements: boolean;
  readonly audit: "none" | "pgaudit" | "pgauditlogtofile";
  /** What is wrong with the spec itself. */
  readonly problems: readonly Problem[];
}

export interface DesiredContext {
  /** The database of `--connstr`. */
  readonly systemDatabase: string;
  readonly privilegedRole: string;
  /** Whether the server is Neon's (design.md 2). */
  readonly neonServer: boolean;
  readonly lakebase?: boolean;
}

/** Reads the desired state out of a spec. Never throws on what a spec says: faults are in `problems`. */
export function desiredState(spec: ReconcileSpec, context: DesiredContext): Desired {
  const problems: Problem[] = [];
  const operations = readOperations(spec.delta_operations ?? [], problems);
  const plainRoles = new Set((spec.local_proxy_config?.jwks ?? []).flatMap(({ role_names }) => role_names));
  // A name listed twice is one object; the last entry counts.
  const roles = new Map<string, DesiredRole>();
  for (const role of spec.cluster.roles) {
    const options = readOptions({ kind: "role", name: role.name }, role.options, problems);
    if (options === undefined || refused("role", role.name, problems)) continue;
    roles.set(role.name, {
      name: role.name,
      options,
      password: passwordFromSpec(role.encrypted_password),
      plain: plainRoles.has(role.name),
    });
  }
  const databases = new Map<string, DesiredDatabase>();
  for (const database of spec.cluster.databases) {
    const options = readOptions({ kind: "database", name: database.name }, database.options, problems);
    if (options === undefined || refused("database", database.name, problems)) continue;
    databases.set(database.name, {
      name: database.name,
      owner: database.owner,
      options,
      template: templateOf(database.options),
    });
  }
  if (spec.drop_subscriptions_before_start && !spec.timeline_id)
    problems.push({
      object: { kind: "cluster" },
      code: "invalid_spec",
      message: "timeline_id must be set",
      fatal: true,
    });
  return {
    systemDatabase: context.systemDatabase,
    privilegedRole: context.privilegedRole,
    neonServer: context.neonServer,
    lakebase: context.lakebase ?? false,
    roles: [...roles.values()],
    databases: [...databases.values()],
    operations,
    operationKey:
      spec.operation_uuid && operations.length > 0 ? operationKey(spec.operation_uuid, operations) : undefined,
    dropSubscriptionsFor: spec.drop_subscriptions_before_start ? (spec.timeline_id ?? undefined) : undefined,
    statStatements: preloads(spec, "pg_stat_statements"),
    audit: auditExtensions(spec.audit_log_level),
    problems,
  };
}

/** NUL bytes and over-long names are refused before anything changes: the server would cut them off silently. */
function refused(kind: "role" | "database", name: string, problems: Problem[]): boolean {
  const reason = invalidName(name);
  if (reason === undefined) return false;
  problems.push({
    object: { kind, name },
    code: "42622",
    message: `the name of ${kind} ${JSON.stringify(name)} ${reason}`,
    fatal: false,
  });
  return true;
}

function readOptions(
  object: ObjectRef,
  options: readonly GenericOption[] | null | undefined,
  problems: Problem[],
): string | undefined {
  if (!options?.some(({ name, value }) => name.includes("\0") || value?.includes("\0")))
    return serializeOptions(options);
  problems.push({
    object,
    code: "invalid_spec",
    message: `an option of ${formatObject(object)} contains a NUL character`,
    fatal: false,
  });
  return undefined;
}

function readOperations(listed: readonly DeltaOperation[], problems: Problem[]): Operation[] {
  const operations: Operation[] = [];
  for (const { action, name, new_name: newName } of listed) {
    if (action === "delete_db" || action === "delete_role") operations.push({ action, name });
    if (action !== "rename_db" && action !== "rename_role") continue;
    const kind = action === "rename_db" ? "database" : "role";
    if (!newName)
      problems.push({
        object: { kind, name },
        code: "invalid_spec",
        message: `operation ${action} of ${JSON.stringify(name)} has no new_name`,
        fatal: true,
      });
    else if (!refused(kind, newName, problems) && newName !== name) operations.push({ action, name, newName });
  }
  return operations;
}

function operationKey(uuid: string, operations: readonly Operation[]): string {
  return `${uuid}:${createHash("sha256").update(JSON.stringify(operations)).digest("hex").slice(0, 16)}`;
}

function templateOf(options: readonly GenericOption[] | null | undefined): string | undefined {
  const option = options?.find(({ name }) => /^\s*template\s*=?\s*$/i.test(name));
  const value = option?.value?.trim();
  if (!option || !value) return undefined;
  if (option.vartype === "string") return value;
  return value.startsWith('"') ? value.slice(1, -1).replaceAll('""', '"') : value.toLowerCase();
}

/** In the settings, else in the last such line of `postgresql_conf` (contract: spec.md 6.4, reconcile.md 6.10). */
function preloads(spec: ReconcileSpec, library: string): boolean {
  const setting = spec.cluster.settings?.find(({ name }) => name === "shared_preload_libraries");
  if (setting) return setting.value?.includes(library) ?? false;
  const lines = spec.cluster.postgresql_conf?.match(/^\s*shared_preload_libraries\s*=.*$/gm);
  return lines?.at(-1)?.includes(library) ?? false;
}

function auditExtensions(level: ReconcileSpec["audit_log_level"]): Desired["audit"] {
  if (level === "Disabled") return "none";
  return level === "Base" || level === "Log" ? "pgaudit" : "pgauditlogtofile";
}
