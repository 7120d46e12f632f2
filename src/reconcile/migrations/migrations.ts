import { doBlock, quoteIdentifier, quoteLiteral } from "../../wire/sql_quoting.ts";

/** A numbered step of the cluster. Its position in the list is its number, so nothing is ever inserted or removed. */
export type Migration = { readonly sql: string } | { readonly skip: true };

/** The migrations for a privileged role, number 1 first (contract: reconcile.md 9). */
export function migrations(privilegedRole: string): readonly Migration[] {
  const role = quoteIdentifier(privilegedRole);
  const name = quoteLiteral(privilegedRole);
  const since16 = (body: string): string =>
    doBlock(`BEGIN
  IF current_setting('server_version_num')::int >= 160000 THEN
${body}
  END IF;
END`);
  const skip = { skip: true } as const;
  return [
    { sql: `ALTER ROLE ${role} BYPASSRLS` },
    {
      sql: doBlock(`DECLARE
  member record;
BEGIN
  FOR member IN SELECT rolname AS name, pg_has_role(rolname, ${name}, 'member') AS privileged FROM pg_roles LOOP
    IF member.privileged THEN
      EXECUTE format('ALTER ROLE %I INHERIT', member.name);
    ELSIF left(member.name, 3) <> 'pg_' THEN
      EXECUTE format('ALTER ROLE %I NOBYPASSRLS', member.name);
    END IF;
  END LOOP;
END`),
    },
    { sql: since16(`    GRANT pg_create_subscription TO ${role};`) },
    { sql: `GRANT pg_monitor TO ${role} WITH ADMIN OPTION` },
    skip,
    skip,
    skip,
    skip,
    skip,
    {
      sql: since16(`    GRANT EXECUTE ON FUNCTION pg_catalog.pg_export_snapshot() TO ${role};
    GRANT EXECUTE ON FUNCTION pg_catalog.pg_log_standby_snapshot() TO ${role};`),
    },
    { sql: `GRANT EXECUTE ON FUNCTION pg_catalog.pg_show_replication_origin_status() TO ${role}` },
    { sql: `GRANT pg_signal_backend TO ${role} WITH ADMIN OPTION` },
  ];
}
