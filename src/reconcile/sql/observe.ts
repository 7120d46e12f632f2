import { quoteLiteral, quoteTextArray } from "../../wire/sql_quoting.ts";
import { MAX_STATE_BYTES, STATE_TABLE } from "../state_tables.ts";

/** What the look is for: it decides which of the dearer questions are asked. */
export interface ObserveQuestions {
  readonly privilegedRole: string;
  /** Roles whose references matter because an operation names them. */
  readonly roles: readonly string[];
  /** Extensions whose availability matters; finding out reads every control file on disk. */
  readonly extensions: readonly string[];
  readonly audit: boolean;
}

/** The parts of the first message, in order; one snapshot for all of them. */
export function observeStatements({ privilegedRole, roles, extensions, audit }: ObserveQuestions): string[] {
  const privileged = `(SELECT oid FROM pg_authid WHERE rolname = ${quoteLiteral(privilegedRole)})`;
  return [
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    `SELECT current_setting('server_version_num')::int AS version, current_user::text AS admin, ${privileged} AS privileged,
       (SELECT pg_get_userbyid(nspowner)::text FROM pg_namespace WHERE nspname = 'neon') AS neon_owner,
       (SELECT pg_get_userbyid(relowner)::text FROM pg_class WHERE oid = to_regclass('public.health_check')) AS health_check_owner,
       (SELECT relowner = current_user::regrole::oid FROM pg_class WHERE oid = to_regclass('${STATE_TABLE}')) AS state,
       (SELECT relowner = current_user::regrole::oid FROM pg_class WHERE oid = to_regclass('neon_migration.migration_id')) AS migrations,
       to_regclass('neon.drop_subscriptions_done') IS NOT NULL AS subscriptions_marker`,
    `SELECT d.oid::int8::text AS oid, d.datname::text AS name, a.rolname::text AS owner, NOT d.datallowconn AS restricted,
       d.datconnlimit = -2 AS invalid, d.datistemplate AS template,
       (SELECT count(DISTINCT e.privilege_type) = 3
          FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) e WHERE e.grantee = ${privileged}) AS granted
     FROM pg_database d JOIN pg_authid a ON a.oid = d.datdba`,
    `SELECT oid::int8::text AS oid, rolname::text AS name, rolpassword AS password, rolsuper AS superuser, rolcanlogin AS login,
       rolinherit AS inherit, rolcreaterole AS createrole, rolcreatedb AS createdb, rolreplication AS replication,
       rolbypassrls AS bypassrls FROM pg_authid`,
    `SELECT r.rolname::text AS role, bool_or(m.admin_option) AS admin
     FROM pg_auth_members m JOIN pg_authid r ON r.oid = m.roleid WHERE m.member = ${privileged} GROUP BY 1`,
    `SELECT DISTINCT p.proname::text AS name FROM pg_proc p, aclexplode(p.proacl) e
     WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proacl IS NOT NULL AND e.grantee = ${privileged}`,
    // Default privileges of the administrator that name the privileged role, in all databases at once: entries of the
    // bootstrap superuser have no owner row because it is pinned; those of another administrator do.
    `SELECT d.dbid::int8::text AS oid, count(*)::int AS entries FROM pg_shdepend d
     WHERE d.classid = 'pg_default_acl'::regclass AND d.deptype = 'a'
       AND d.refclassid = 'pg_authid'::regclass AND d.refobjid = ${privileged}
       AND coalesce((SELECT o.refobjid FROM pg_shdepend o WHERE o.dbid = d.dbid AND o.classid = d.classid
                       AND o.objid = d.objid AND o.deptype = 'o'), 10) = current_user::regrole::oid
     GROUP BY 1`,
    `SELECT subdbid::int8::text AS oid, count(*)::int AS subscriptions, (count(*) FILTER (WHERE subenabled))::int AS enabled
     FROM pg_subscription GROUP BY 1`,
    `SELECT e.extname::text AS name, e.extversion AS version, n.nspname::text AS schema
     FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace`,
    ...(roles.length === 0
      ? []
      : [
          `SELECT DISTINCT a.rolname::text AS role, b.datname::text AS database
           FROM pg_shdepend d JOIN pg_authid a ON a.oid = d.refobjid LEFT JOIN pg_database b ON b.oid = d.dbid
           WHERE d.refclassid = 'pg_authid'::regclass AND a.rolname = ANY (${quoteTextArray(roles)})`,
        ]),
    ...(extensions.length === 0
      ? []
      : [
          `SELECT name::text AS name, default_version AS version FROM pg_available_extensions
           WHERE name = ANY (${quoteTextArray(extensions)})`,
        ]),
    ...(audit
      ? [
          `SELECT EXISTS (SELECT FROM pg_db_role_setting s, unnest(s.setconfig) c WHERE s.setrole = 0
             AND s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
             AND c = 'pgaudit.log=none') AS excluded`,
        ]
      : []),
    "COMMIT",
  ];
}

/** The second look, at tables that the first one found. */
export function observeTables(found: {
  readonly state: boolean;
  readonly migrations: boolean;
  readonly subscriptionsMarker: boolean;
}): string[] {
  return [
    ...(found.state
      ? [
          `SELECT 'state' AS source, key, value FROM ${STATE_TABLE}
           WHERE key IN ('visits', 'operations') AND octet_length(value) < ${MAX_STATE_BYTES}`,
        ]
      : []),
    ...(found.migrations
      ? ["SELECT 'migrations' AS source, '' AS key, id::text AS value FROM neon_migration.migration_id WHERE key = 0"]
      : []),
    ...(found.subscriptionsMarker
      ? [
          "SELECT 'subscriptions' AS source, '' AS key, timeline_id AS value FROM neon.drop_subscriptions_done WHERE id = 1",
        ]
      : []),
  ];
}
