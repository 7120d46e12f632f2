/** What one look at the catalogs found. Names are as stored; maps are keyed by name. */
export interface Observed {
  readonly serverMajor: number;
  /** As whom our sessions act: `cloud_admin`, or another superuser in an adopted cluster. */
  readonly admin: string;
  readonly roles: ReadonlyMap<string, ObservedRole>;
  /** Templates included (contract: reconcile.md 4). */
  readonly databases: ReadonlyMap<string, ObservedDatabase>;
  /** Undefined while the privileged role does not exist. */
  readonly privileged: ObservedPrivileges | undefined;
  /** Who owns schema `neon` of the system database; undefined without one. */
  readonly neonSchemaOwner: string | undefined;
  /** Who owns `public.health_check` of the system database; undefined without one. */
  readonly healthCheckOwner: string | undefined;
  /** Extensions of the system database that may matter here. */
  readonly extensions: ReadonlyMap<string, ObservedExtension>;
  /** Available extensions with their default version; only looked up where somebody asks. */
  readonly available: ReadonlyMap<string, string>;
  /** Whether sessions in the system database are kept out of the audit log. */
  readonly auditExcluded: boolean;
  /** `neon_migration.migration_id`; 0 without a table. */
  readonly migration: number;
  /** The last operations that were completed (our own table in schema `neon`). */
  readonly completedOperations: string | undefined;
  /** The timeline whose inherited subscriptions were dropped. */
  readonly subscriptionsDroppedFor: string | undefined;
}

export interface ObservedRole {
  readonly password: string | null;
  readonly superuser: boolean;
  readonly attributes: RoleAttributes;
  /** Databases with something that keeps the role from being dropped; null = shared objects. Only for roles of operations. */
  readonly references: readonly (string | null)[];
}

export interface RoleAttributes {
  readonly login: boolean;
  readonly inherit: boolean;
  readonly createrole: boolean;
  readonly createdb: boolean;
  readonly replication: boolean;
  readonly bypassrls: boolean;
}

export interface ObservedDatabase {
  readonly oid: number;
  readonly owner: string;
  /** `datallowconn` is false. */
  readonly restricted: boolean;
  /** `datconnlimit` is -2: an interrupted DROP DATABASE. */
  readonly invalid: boolean;
  readonly template: boolean;
  /** The privileged role holds CREATE, CONNECT and TEMPORARY. */
  readonly granted: boolean;
  /** The administrator's default-privilege entries that name the privileged role; 2 = as we leave them. */
  readonly defaultGrants: number;
  /** Visited by us at the current level on this server major. */
  readonly visited: boolean;
  readonly subscriptions: number;
  readonly enabledSubscriptions: number;
}

interface ObservedPrivileges {
  /** Role names, and whether with ADMIN. */
  readonly memberOf: ReadonlyMap<string, boolean>;
  /** Functions by name of which the role has EXECUTE in its own name. */
  readonly executes: ReadonlySet<string>;
}

export interface ObservedExtension {
  readonly version: string;
  readonly schema: string;
}
