import type { Action } from "../../src/reconcile/action.ts";
import type { Observed, ObservedDatabase, ObservedRole } from "../../src/reconcile/observed.ts";

/** What PostgreSQL would do with an action, on values; throws where it would refuse. */
export function simulate(before: Observed, actions: readonly Action[]): Observed {
  const roles = new Map(before.roles);
  const databases = new Map(before.databases);
  const extensions = new Map(before.extensions);
  const memberOf = new Map(before.privileged?.memberOf);
  const executes = new Set(before.privileged?.executes);
  let privileged = before.privileged !== undefined;
  let state: Observed = before;
  let nextOid = 1 + Math.max(0, ...[...databases.values()].map(({ oid }) => oid));

  const role = (name: string): ObservedRole => existing(roles, "role", name);
  const database = (name: string): ObservedDatabase => existing(databases, "database", name);
  const absent = (map: ReadonlyMap<string, unknown>, name: string): void => {
    if (map.has(name)) throw new Error(`${name} exists already`);
  };
  const drop = (name: string): void => {
    const { references } = role(name);
    if (references.length > 0) throw new Error(`role ${name} is still referenced`);
    if ([...databases.values()].some(({ owner }) => owner === name)) throw new Error(`role ${name} owns a database`);
    roles.delete(name);
  };
  const forget = (name: string): void => {
    const { references, ...rest } = role(name);
    for (const reference of references)
      if (reference !== null && database(reference).restricted) throw new Error(`cannot visit ${reference}`);
    roles.set(name, { ...rest, references: [] });
    for (const [key, value] of databases)
      if (value.owner === name) databases.set(key, { ...value, owner: before.admin });
  };

  for (const action of actions) {
    switch (action.kind) {
      case "create_privileged_role":
        absent(roles, action.role);
        roles.set(action.role, newRole(null, false, action.replication));
        memberOf.set("pg_read_all_data", false).set("pg_write_all_data", false);
        privileged = true;
        break;
      case "alter_privileged_role": {
        const attributes = Object.fromEntries(
          action.attributes.map((word) => {
            const no =
              word.startsWith("NO") && word !== "NOLOGIN" ? word.slice(2) : word === "NOLOGIN" ? "LOGIN" : word;
            return [no.toLowerCase(), no === word];
          }),
        );
        const old = role(action.role);
        roles.set(action.role, { ...old, attributes: { ...old.attributes, ...attributes } });
        break;
      }
      case "grant_membership":
        memberOf.set(action.of, action.admin || memberOf.get(action.of) === true);
        break;
      case "grant_execute":
        executes.add(action.functionName);
        break;
      case "create_role":
        absent(roles, action.name);
        roles.set(action.name, newRole(action.password, true, action.member));
        break;
      case "alter_role":
        roles.set(action.name, { ...role(action.name), password: action.password });
        break;
      case "rename_role": {
        const old = role(action.name);
        absent(roles, action.newName);
        roles.delete(action.name);
        roles.set(action.newName, { ...old, password: old.password?.startsWith("md5") ? null : old.password });
        for (const [key, value] of databases)
          if (value.owner === action.name) databases.set(key, { ...value, owner: action.newName });
        break;
      }
      case "remove_role":
        forget(action.name);
        drop(action.name);
        break;
      case "drop_role_references":
        for (const name of action.roles) forget(name);
        break;
      case "drop_role":
        drop(action.name);
        break;
      case "drop_subscriptions":
        if (database(action.database).restricted) throw new Error("cannot connect");
        databases.set(action.database, { ...database(action.database), subscriptions: 0, enabledSubscriptions: 0 });
        break;
      case "drop_invalid_database":
      case "drop_database": {
        const old = database(action.name);
        if (action.kind === "drop_database" && old.subscriptions > 0 && !old.restricted)
          throw new Error("has a subscription");
        databases.delete(action.name);
        for (const [key, value] of roles)
          roles.set(key, { ...value, references: value.references.filter((reference) => reference !== action.name) });
        break;
      }
      case "rename_database": {
        const old = database(action.name);
        absent(databases, action.newName);
        databases.delete(action.name);
        databases.set(action.newName, old);
        for (const [key, value] of roles)
          roles.set(key, {
            ...value,
            references: value.references.map((each) => (each === action.name ? action.newName : each)),
          });
        break;
      }
      case "create_database":
        absent(databases, action.name);
        role(action.owner);
        databases.set(action.name, {
          oid: nextOid++,
          owner: action.owner,
          restricted: false,
          invalid: false,
          template: false,
          granted: true,
          defaultGrants: 0,
          visited: false,
          subscriptions: 0,
          enabledSubscriptions: 0,
        });
        break;
      case "change_owner":
        role(action.owner);
        databases.set(action.name, { ...database(action.name), owner: action.owner });
        break;
      case "grant_database":
        databases.set(action.name, { ...database(action.name), granted: true });
        break;
      case "adjust_schema":
        if (database(action.database).restricted) throw new Error("cannot connect");
        databases.set(action.database, { ...database(action.database), defaultGrants: 2 });
        break;
      case "disable_subscriptions":
        for (const name of action.databases) databases.set(name, { ...database(name), enabledSubscriptions: 0 });
        break;
      case "create_schema_neon":
        state = { ...state, neonSchemaOwner: before.admin };
        break;
      case "create_availability_table":
        state = { ...state, healthCheckOwner: before.admin };
        break;
      case "create_extension":
        absent(extensions, action.extension);
        extensions.set(action.extension, {
          schema: action.schema,
          version: before.available.get(action.extension) ?? "1",
        });
        break;
      case "move_extension":
        extensions.set(action.extension, {
          ...existing(extensions, "extension", action.extension),
          schema: action.schema,
        });
        break;
      case "update_extension":
        extensions.set(action.extension, {
          ...existing(extensions, "extension", action.extension),
          version: before.available.get(action.extension) ?? "1",
        });
        break;
      case "exclude_from_audit":
        state = { ...state, auditExcluded: true };
        break;
      case "record_subscriptions_dropped":
        state = { ...state, subscriptionsDroppedFor: action.timeline };
        break;
      case "record_visits":
        for (const name of action.databases) databases.set(name, { ...database(name), visited: true });
        break;
      case "record_operations":
        state = { ...state, completedOperations: action.key };
        break;
      default:
        throw new Error(`the model knows nothing of ${action.kind}`);
    }
  }
  return { ...state, roles, databases, extensions, privileged: privileged ? { memberOf, executes } : undefined };

  function newRole(password: string | null, login: boolean, replication: boolean): ObservedRole {
    const attributes = { login, inherit: true, createrole: true, createdb: true, replication, bypassrls: true };
    return { password, superuser: false, attributes, references: [] };
  }
}

function existing<T>(map: ReadonlyMap<string, T>, kind: string, name: string): T {
  const value = map.get(name);
  if (value === undefined) throw new Error(`there is no ${kind} ${JSON.stringify(name)}`);
  return value;
}
