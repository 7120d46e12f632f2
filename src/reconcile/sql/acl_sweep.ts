import { quoteIdentifier, quoteLiteral } from "../../wire/sql_quoting.ts";

/** Variables of {@link aclSweep}; `object` may be used by the rest of the block. */
export const ACL_SWEEP_VARIABLES = `  candidate record;
  look text;
  object record;
  entry record;
  lent oid[];
  schema_id oid;
  detour boolean;
  demoted boolean;
  last text := '';
  seen text;`;

export interface AclSweepInput {
  readonly admin: string;
  /** Shared objects too. */
  readonly shared: boolean;
  readonly serverMajor: number;
}

/**
 * PL/pgSQL statements that revoke, from every object of this database, what the roles in the variable `doomed` were
 * granted by others than the object's owner, and what they have granted: `DROP OWNED` only takes what the owner granted.
 *
 * Each entry is revoked by its grantor, who for that moment gets back whatever he has lost since: all in one
 * transaction, so nobody sees it (contract: reconcile.md 6.7). Looks at the object again after each one, because a
 * CASCADE may have taken others away.
 */
export function aclSweep({ admin, shared, serverMajor }: AclSweepInput): string {
  const looks = grantedObjects(shared, serverMajor).map(
    ({ catalog, column, sql }) =>
      `      WHEN candidate.classid = '${catalog}'::regclass${column === undefined ? "" : ` AND candidate.objsubid ${column ? "<>" : "="} 0`} THEN ${quoteLiteral(sql)}`,
  );
  return `  FOR candidate IN SELECT DISTINCT classid, objid, objsubid FROM pg_shdepend
      WHERE refclassid = 'pg_authid'::regclass AND refobjid = ANY (doomed) AND deptype = 'a'
      AND dbid IN (${shared ? "0, " : ""}(SELECT oid FROM pg_database WHERE datname = current_database())) LOOP
    look := CASE
${looks.join("\n")}
    END;
    CONTINUE WHEN look IS NULL;
    LOOP
      EXECUTE look INTO object USING candidate.objid, candidate.objsubid;
      EXIT WHEN object.owner IS NULL;
      SELECT string_agg(e.privilege_type || object.columns, ', ') AS privileges,
          string_agg(e.privilege_type || object.columns, ', ') FILTER (WHERE NOT ${holds("is_grantable")}) AS lend,
          string_agg(e.privilege_type || object.columns, ', ') FILTER (WHERE NOT ${holds("is_grantable")}
            AND NOT ${holds("grantor = object.owner")}) AS unowned,
          e.grantor, pg_get_userbyid(e.grantor) AS grantor_name,
          CASE e.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(e.grantee)) END AS grantee,
          (SELECT rolsuper FROM pg_authid WHERE oid = e.grantor) AS grantor_super
        INTO entry
        FROM aclexplode(object.acl) e
        WHERE (e.grantee = ANY (doomed) OR e.grantor = ANY (doomed)) AND e.grantor <> object.owner
        GROUP BY e.grantor, e.grantee
        LIMIT 1;
      EXIT WHEN NOT FOUND;
      seen := format('%s|%s|%s|%s', entry.privileges, object.on_what, entry.grantor, entry.grantee);
      IF seen = last THEN
        RAISE EXCEPTION 'cannot revoke % on % from % as %', entry.privileges, object.on_what, entry.grantee, entry.grantor_name;
      END IF;
      last := seen;
      -- A superuser, and whoever has the owner's rights, would revoke in the owner's name and leave the entry.
      demoted := entry.grantor_super AND entry.grantor <> 10;
      IF demoted THEN EXECUTE format('ALTER ROLE %I NOSUPERUSER', entry.grantor_name); END IF;
      detour := object.alter_what IS NOT NULL AND pg_has_role(entry.grantor, object.owner, 'USAGE');
      IF detour THEN EXECUTE format('ALTER %s OWNER TO %I', object.alter_what, ${quoteLiteral(admin)}); END IF;
      lent := '{}';
      FOREACH schema_id IN ARRAY object.schemas LOOP
        IF NOT has_schema_privilege(entry.grantor, schema_id, 'USAGE') THEN
          EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', (SELECT nspname FROM pg_namespace WHERE oid = schema_id), entry.grantor_name);
          lent := lent || schema_id;
        END IF;
      END LOOP;
      -- A grant can outlive the grant option that it was made with, when the grantor is a member of another role that
      -- has it. That one would be taken to revoke; so the grantor gets the option back for a moment.
      IF entry.lend IS NOT NULL THEN
        EXECUTE format('GRANT %s ON %s TO %I WITH GRANT OPTION', entry.lend, object.on_what, entry.grantor_name);
      END IF;
      EXECUTE format('SET LOCAL ROLE %I', entry.grantor_name);
      -- Not ALL: for more than it holds itself, the server would let another role that it is a member of revoke.
      EXECUTE format('REVOKE %s ON %s FROM %s GRANTED BY %I CASCADE', entry.privileges, object.on_what,
        entry.grantee, entry.grantor_name);
      SET LOCAL ROLE ${quoteIdentifier(admin)};
      IF entry.lend IS NOT NULL THEN
        EXECUTE format('REVOKE GRANT OPTION FOR %s ON %s FROM %I', entry.lend, object.on_what, entry.grantor_name);
      END IF;
      IF entry.unowned IS NOT NULL THEN
        EXECUTE format('REVOKE %s ON %s FROM %I', entry.unowned, object.on_what, entry.grantor_name);
      END IF;
      FOREACH schema_id IN ARRAY lent LOOP
        EXECUTE format('REVOKE USAGE ON SCHEMA %I FROM %I', (SELECT nspname FROM pg_namespace WHERE oid = schema_id), entry.grantor_name);
      END LOOP;
      IF detour THEN EXECUTE format('ALTER %s OWNER TO %I', object.alter_what, pg_get_userbyid(object.owner)); END IF;
      IF demoted THEN EXECUTE format('ALTER ROLE %I SUPERUSER', entry.grantor_name); END IF;
    END LOOP;
  END LOOP;`;
}

/** Whether the grantor of entry `e` has the entry's privilege in its own name, with what the condition asks for. */
function holds(condition: string): string {
  return `EXISTS (SELECT FROM aclexplode(object.acl) h WHERE h.grantee = e.grantor AND h.privilege_type = e.privilege_type AND h.${condition})`;
}

interface GrantedObject {
  readonly catalog: string;
  /** Only for `pg_class`: whether this is about a column. */
  readonly column?: boolean;
  /** Gives one row for object $1, column $2. */
  readonly sql: string;
}

/**
 * Every kind of object with an ACL. A row is: owner, acl, the column in parentheses, what follows ON in REVOKE, what
 * follows ALTER, and the schemas in which the grantor must be able to look things up.
 */
function grantedObjects(shared: boolean, serverMajor: number): GrantedObject[] {
  const row = (
    owner: string,
    acl: string,
    what: string,
    alter: string,
    schemas = "'{}'::oid[]",
    columns = "''",
  ): string =>
    `SELECT ${owner} AS owner, ${acl} AS acl, ${columns} AS columns, ${what} AS on_what, ${alter} AS alter_what, ${schemas} AS schemas`;
  const named = (keyword: string, name: string): string => `format('${keyword} %I', ${name})`;
  const local: GrantedObject[] = [
    {
      catalog: "pg_class",
      column: false,
      // A sequence of a column goes with its table.
      sql: `${row(
        "c.relowner",
        "c.relacl",
        "format('%s %s', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::regclass)",
        `'TABLE ' || coalesce((SELECT s.refobjid::regclass::text FROM pg_depend s WHERE c.relkind = 'S'
          AND s.classid = 'pg_class'::regclass AND s.objid = c.oid AND s.refclassid = 'pg_class'::regclass
          AND s.deptype IN ('a', 'i') LIMIT 1), c.oid::regclass::text)`,
        "ARRAY[c.relnamespace]",
      )} FROM pg_class c WHERE c.oid = $1`,
    },
    {
      catalog: "pg_class",
      column: true,
      sql: `${row("c.relowner", "a.attacl", "'TABLE ' || c.oid::regclass", "'TABLE ' || c.oid::regclass", "ARRAY[c.relnamespace]", "format('(%I)', a.attname)")}
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE a.attrelid = $1 AND a.attnum = $2`,
    },
    {
      catalog: "pg_proc",
      sql: `${row(
        "p.proowner",
        "p.proacl",
        "'ROUTINE ' || p.oid::regprocedure",
        "'ROUTINE ' || p.oid::regprocedure",
        "ARRAY(SELECT p.pronamespace UNION SELECT t.typnamespace FROM pg_type t WHERE t.oid = ANY (p.proargtypes))",
      )} FROM pg_proc p WHERE p.oid = $1`,
    },
    {
      catalog: "pg_namespace",
      sql: `${row("n.nspowner", "n.nspacl", named("SCHEMA", "n.nspname"), named("SCHEMA", "n.nspname"))} FROM pg_namespace n WHERE n.oid = $1`,
    },
    {
      catalog: "pg_type",
      sql: `${row("t.typowner", "t.typacl", "'TYPE ' || t.oid::regtype", "'TYPE ' || t.oid::regtype", "ARRAY[t.typnamespace]")} FROM pg_type t WHERE t.oid = $1`,
    },
    {
      catalog: "pg_language",
      sql: `${row("l.lanowner", "l.lanacl", named("LANGUAGE", "l.lanname"), named("LANGUAGE", "l.lanname"))} FROM pg_language l WHERE l.oid = $1`,
    },
    {
      catalog: "pg_foreign_data_wrapper",
      sql: `${row("f.fdwowner", "f.fdwacl", named("FOREIGN DATA WRAPPER", "f.fdwname"), "NULL::text")} FROM pg_foreign_data_wrapper f WHERE f.oid = $1`,
    },
    {
      catalog: "pg_foreign_server",
      sql: `${row("s.srvowner", "s.srvacl", named("FOREIGN SERVER", "s.srvname"), named("SERVER", "s.srvname"))} FROM pg_foreign_server s WHERE s.oid = $1`,
    },
    {
      catalog: "pg_largeobject",
      sql: `${row("m.lomowner", "m.lomacl", "'LARGE OBJECT ' || m.oid", "'LARGE OBJECT ' || m.oid")} FROM pg_largeobject_metadata m WHERE m.oid = $1`,
    },
  ];
  if (!shared) return local;
  return [
    ...local,
    {
      catalog: "pg_database",
      sql: `${row("b.datdba", "b.datacl", named("DATABASE", "b.datname"), named("DATABASE", "b.datname"))} FROM pg_database b WHERE b.oid = $1`,
    },
    {
      catalog: "pg_tablespace",
      sql: `${row("s.spcowner", "s.spcacl", named("TABLESPACE", "s.spcname"), named("TABLESPACE", "s.spcname"))} FROM pg_tablespace s WHERE s.oid = $1`,
    },
    ...(serverMajor >= 15
      ? [
          {
            catalog: "pg_parameter_acl",
            sql: `${row(
              "10::oid",
              "p.paracl",
              "'PARAMETER ' || (SELECT string_agg(quote_ident(part), '.') FROM unnest(string_to_array(p.parname, '.')) part)",
              "NULL::text",
            )} FROM pg_parameter_acl p WHERE p.oid = $1`,
          },
        ]
      : []),
  ];
}
