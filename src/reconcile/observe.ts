import type { Desired } from "./desired.ts";
import type { Observed, ObservedDatabase, ObservedExtension, ObservedRole } from "./observed.ts";
import type { Session } from "./session.ts";
import { type ObserveQuestions, observeStatements, observeTables } from "./sql/observe.ts";
import { parseVisits, visitMark } from "./state_tables.ts";

/**
 * One look at the catalogs, in the system database: one message, and a second one for the tables that the first has
 * found; the number of statements does not depend on how many roles or databases there are (contract: reconcile.md 15).
 */
export async function observe(session: Session, desired: Desired): Promise<Observed> {
  const questions = questionsOf(desired);
  // An explicit transaction in one message: all statements see the same moment, and a failure anywhere fails the look.
  const answers = (await session.script(observeStatements(questions).join(";\n"))).slice(1, -1).values();
  const next = <T>(): T[] => (answers.next().value ?? []) as T[];
  const [server] = next<ServerRow>();
  if (!server) throw new Error("the server gave no answer to a look at its catalogs");
  const databaseRows = next<DatabaseRow>();
  const roleRows = next<RoleRow>();
  const memberships = next<{ role: string; admin: boolean }>();
  const functions = next<{ name: string }>();
  const defaults = new Map(next<{ oid: string; entries: number }>().map((row) => [row.oid, row.entries]));
  const subscriptions = new Map(
    next<{ oid: string; subscriptions: number; enabled: number }>().map((row) => [row.oid, row]),
  );
  const extensions = next<{ name: string } & ObservedExtension>();
  const references = questions.roles.length > 0 ? next<{ role: string; database: string | null }>() : [];
  const available = questions.extensions.length > 0 ? next<{ name: string; version: string }>() : [];
  const [audit] = questions.audit ? next<{ excluded: boolean }>() : [];

  const tables = observeTables({
    // A table that another role owns was not made by us and is not believed.
    state: server.state === true,
    migrations: server.migrations === true,
    subscriptionsMarker: desired.dropSubscriptionsFor !== undefined && server.subscriptions_marker,
  });
  const stored = tables.length > 0 ? ((await session.script(tables.join(";\n"))).flat() as unknown as StoredRow[]) : [];
  const value = (source: string, key = ""): string | undefined => find(stored, source, key);
  const serverMajor = Math.floor(server.version / 10_000);
  const visits = parseVisits(value("state", "visits"));
  const mark = visitMark(serverMajor);

  return {
    serverMajor,
    admin: server.admin,
    roles: new Map(
      roleRows.map((row): [string, ObservedRole] => [
        row.name,
        {
          password: row.password,
          superuser: row.superuser,
          attributes: {
            login: row.login,
            inherit: row.inherit,
            createrole: row.createrole,
            createdb: row.createdb,
            replication: row.replication,
            bypassrls: row.bypassrls,
          },
          references: references.filter(({ role }) => role === row.name).map(({ database }) => database),
        },
      ]),
    ),
    databases: new Map(
      databaseRows.map((row): [string, ObservedDatabase] => [
        row.name,
        {
          oid: Number(row.oid),
          owner: row.owner,
          restricted: row.restricted,
          invalid: row.invalid,
          template: row.template,
          granted: row.granted,
          defaultGrants: defaults.get(row.oid) ?? 0,
          visited: visits.get(Number(row.oid)) === mark,
          subscriptions: subscriptions.get(row.oid)?.subscriptions ?? 0,
          enabledSubscriptions: subscriptions.get(row.oid)?.enabled ?? 0,
        },
      ]),
    ),
    privileged:
      server.privileged === null
        ? undefined
        : {
            memberOf: new Map(memberships.map(({ role, admin }) => [role, admin])),
            executes: new Set(functions.map(({ name }) => name)),
          },
    neonSchemaOwner: server.neon_owner ?? undefined,
    healthCheckOwner: server.health_check_owner ?? undefined,
    extensions: new Map(extensions.map(({ name, version, schema }) => [name, { version, schema }])),
    available: new Map(available.map(({ name, version }) => [name, version])),
    auditExcluded: audit?.excluded ?? false,
    migration: Number(value("migrations") ?? 0),
    completedOperations: value("state", "operations"),
    subscriptionsDroppedFor: value("subscriptions"),
  };
}

function questionsOf(desired: Desired): ObserveQuestions {
  return {
    privilegedRole: desired.privilegedRole,
    roles: desired.operations.filter(({ action }) => action.endsWith("_role")).map(({ name }) => name),
    extensions: [
      ...(desired.neonServer ? ["neon"] : []),
      ...(desired.audit === "none" ? [] : ["pgaudit", "pgauditlogtofile"]),
      ...(desired.lakebase ? ["databricks_auth"] : []),
    ],
    audit: desired.audit !== "none",
  };
}

interface StoredRow {
  readonly source: string;
  readonly key: string;
  readonly value: string | null;
}

function find(rows: readonly StoredRow[], source: string, key: string): string | undefined {
  return rows.find((row) => row.source === source && row.key === key)?.value ?? undefined;
}

interface ServerRow {
  version: number;
  admin: string;
  privileged: number | null;
  neon_owner: string | null;
  health_check_owner: string | null;
  state: boolean | null;
  migrations: boolean | null;
  subscriptions_marker: boolean;
}

interface DatabaseRow {
  oid: string;
  name: string;
  owner: string;
  restricted: boolean;
  invalid: boolean;
  template: boolean;
  granted: boolean;
}

interface RoleRow {
  oid: string;
  name: string;
  password: string | null;
  superuser: boolean;
  login: boolean;
  inherit: boolean;
  createrole: boolean;
  createdb: boolean;
  replication: boolean;
  bypassrls: boolean;
}
