import { doBlock, quoteIdentifier, quoteIdentifiers, quoteLiteral, quoteTextArray } from "../../wire/sql_quoting.ts";
import { ACL_SWEEP_VARIABLES, aclSweep } from "./acl_sweep.ts";

/** Whose references go, and where they go to. */
export interface RoleReferences {
  readonly roles: readonly string[];
  /** Owner that the spec names for this database; undefined when it does not list it, and for the system database. */
  readonly heir: string | undefined;
  readonly systemDatabase: boolean;
  readonly privilegedRole: string;
  readonly admin: string;
  readonly serverMajor: number;
}

/**
 * Which databases the roles' references are in: oid 0 = shared objects, null = a role without any. `special` when they
 * own something there that cannot simply be given to anybody.
 */
export function findRoleReferences(roles: readonly string[]): string {
  return `SELECT a.rolname::text AS role, d.dbid::int8::text AS oid, b.datname::text AS database,
      o.rolname::text AS owner, NOT b.datallowconn AS restricted, b.datconnlimit = -2 AS invalid,
      bool_or(d.deptype = 'o' AND d.classid IN ('pg_event_trigger'::regclass, 'pg_publication'::regclass,
        'pg_foreign_data_wrapper'::regclass)) AS special
    FROM pg_authid a LEFT JOIN pg_shdepend d ON d.refclassid = 'pg_authid'::regclass AND d.refobjid = a.oid
    LEFT JOIN pg_database b ON b.oid = d.dbid LEFT JOIN pg_authid o ON o.oid = b.datdba
    WHERE a.rolname = ANY (${quoteTextArray(roles)}) GROUP BY 1, 2, 3, 4, 5, 6`;
}

/** Those of the roles that exist and are no superusers. */
export function findOrdinaryRoles(names: readonly string[]): string {
  return `SELECT rolname::text AS name FROM pg_authid WHERE NOT rolsuper AND rolname = ANY (${quoteTextArray(names)})`;
}

/**
 * The short way, for a database where the roles own nothing special: two plain statements in one transaction, and whether
 * anything of the roles is left, which then takes {@link dropRoleReferences}. Privileges that owners granted, and so most
 * of all privileges, need no more.
 */
export function dropOrdinaryReferences(roles: readonly string[], heir: string): string {
  const names = quoteIdentifiers(roles);
  return `REASSIGN OWNED BY ${names} TO ${quoteIdentifier(heir)};
    DROP OWNED BY ${names};
    SELECT EXISTS (SELECT FROM pg_shdepend d JOIN pg_authid a ON a.oid = d.refobjid
      WHERE d.refclassid = 'pg_authid'::regclass AND a.rolname = ANY (${quoteTextArray(roles)})
      AND d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())) AS left_over`;
}

/**
 * One transaction that leaves nothing of the roles in this database: what they own goes to the heir, what they were
 * granted is revoked by whoever granted it, the rest is dropped. In the system database the shared objects too, before
 * any other database is worked on (contract: reconcile.md 6.7).
 *
 * The heir is never a superuser: an object's code runs with its owner's rights.
 */
export function dropRoleReferences(references: RoleReferences): string {
  const { roles, admin, systemDatabase, serverMajor } = references;
  const to = quoteLiteral(admin);
  return doBlock(`DECLARE
  doomed oid[] := ARRAY(SELECT oid FROM pg_authid WHERE rolname = ANY (${quoteTextArray(roles)}));
  names text := ${quoteLiteral(quoteIdentifiers(roles))};
  heir text := ${heirOf(references)};
  owned_kinds oid[] := ARRAY(SELECT DISTINCT classid FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass
    AND refobjid = ANY (doomed) AND deptype = 'o'
    AND dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())));
${ACL_SWEEP_VARIABLES}
BEGIN
${systemDatabase ? sharedOwners(admin) : ""}
  IF 'pg_event_trigger'::regclass = ANY (owned_kinds) THEN
    FOR object IN SELECT evtname AS name FROM pg_event_trigger WHERE evtowner = ANY (doomed) LOOP
      RAISE WARNING 'event trigger % is dropped with its owner', object.name;
      EXECUTE format('DROP EVENT TRIGGER %I', object.name);
    END LOOP;
  END IF;
  -- Only superusers can own these; they were theirs already.
  IF 'pg_publication'::regclass = ANY (owned_kinds) THEN
    FOR object IN SELECT pubname AS name FROM pg_publication WHERE pubowner = ANY (doomed)
        AND (puballtables${serverMajor >= 15 ? " OR EXISTS (SELECT FROM pg_publication_namespace WHERE pnpubid = pg_publication.oid)" : ""}) LOOP
      EXECUTE format('ALTER PUBLICATION %I OWNER TO %I', object.name, ${to});
    END LOOP;
  END IF;
  IF 'pg_foreign_data_wrapper'::regclass = ANY (owned_kinds) THEN
    FOR object IN SELECT fdwname AS name FROM pg_foreign_data_wrapper WHERE fdwowner = ANY (doomed) LOOP
      EXECUTE format('ALTER FOREIGN DATA WRAPPER %I OWNER TO %I', object.name, ${to});
    END LOOP;
  END IF;
  IF 'pg_subscription'::regclass = ANY (owned_kinds) THEN
${reassignSubscriptionsLoop(serverMajor >= 16 ? "heir" : to)}
  END IF;
  EXECUTE format('REASSIGN OWNED BY %s TO %I', names, heir);
${aclSweep({ admin, shared: systemDatabase, serverMajor })}
  EXECUTE format('DROP OWNED BY %s', names);
END`);
}

/** Databases and tablespaces run no code, so the administrator may have them. */
function sharedOwners(admin: string): string {
  const to = quoteLiteral(admin);
  return `  FOR object IN SELECT datname AS name FROM pg_database WHERE datdba = ANY (doomed) LOOP
    EXECUTE format('ALTER DATABASE %I OWNER TO %I', object.name, ${to});
  END LOOP;
  FOR object IN SELECT spcname AS name FROM pg_tablespace WHERE spcowner = ANY (doomed) LOOP
    EXECUTE format('ALTER TABLESPACE %I OWNER TO %I', object.name, ${to});
  END LOOP;`;
}

/**
 * Gives the roles' subscriptions in this database to the heir; before 16 only a superuser can own one, and did. They are
 * shared objects, so the system database's `REASSIGN OWNED` would take them all: every other database goes first.
 */
export function reassignSubscriptions(references: RoleReferences): string {
  return doBlock(`DECLARE
  doomed oid[] := ARRAY(SELECT oid FROM pg_authid WHERE rolname = ANY (${quoteTextArray(references.roles)}));
  heir text := ${references.serverMajor >= 16 ? heirOf(references) : quoteLiteral(references.admin)};
  object record;
BEGIN
${reassignSubscriptionsLoop("heir")}
END`);
}

/** Databases, other than the current one, with a subscription of one of the roles. */
export function findSubscriptionsOf(roles: readonly string[]): string {
  return `SELECT DISTINCT b.datname::text AS database FROM pg_subscription s JOIN pg_database b ON b.oid = s.subdbid
    JOIN pg_authid a ON a.oid = s.subowner
    WHERE a.rolname = ANY (${quoteTextArray(roles)}) AND b.datname <> current_database()
      AND b.datallowconn AND b.datconnlimit <> -2`;
}

function reassignSubscriptionsLoop(to: string): string {
  return `  FOR object IN SELECT subname AS name FROM pg_subscription WHERE subowner = ANY (doomed)
      AND subdbid = (SELECT oid FROM pg_database WHERE datname = current_database()) LOOP
    EXECUTE format('ALTER SUBSCRIPTION %I OWNER TO %I', object.name, ${to});
  END LOOP;`;
}

/** The spec's owner, else the database's; the privileged role instead of a superuser or of one that goes too. */
function heirOf({ systemDatabase, heir, privilegedRole }: RoleReferences): string {
  if (systemDatabase) return quoteLiteral(privilegedRole);
  const owner =
    heir === undefined
      ? "(SELECT datdba FROM pg_database WHERE datname = current_database())"
      : `(SELECT oid FROM pg_authid WHERE rolname = ${quoteLiteral(heir)})`;
  return `coalesce((SELECT rolname FROM pg_authid WHERE oid = ${owner} AND NOT rolsuper AND oid <> ALL (doomed)), ${quoteLiteral(privilegedRole)})`;
}
