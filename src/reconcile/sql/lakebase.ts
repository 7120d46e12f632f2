import { doBlock } from "../../wire/sql_quoting.ts";

/** Statements that only the hosted lakebase mode runs (contract: reconcile.md 18); all may run again. */
export function databricksStatements(
  kind:
    | "limit_databricks_readers"
    | "recreate_databricks_auth"
    | "grant_databricks_monitor"
    | "create_databricks_functions",
): string {
  switch (kind) {
    case "limit_databricks_readers":
      return doBlock(`DECLARE
  wanted text := current_setting('databricks.reader_statement_timeout', true);
  reader name;
BEGIN
  IF coalesce(wanted, '') IN ('', '0') THEN RETURN; END IF;
  FOR reader IN SELECT rolname FROM pg_roles WHERE rolname ~ '^databricks_reader_[0-9]+$' LOOP
    EXECUTE format('ALTER ROLE %I SET statement_timeout = %L', reader, wanted);
  END LOOP;
END`);
    case "recreate_databricks_auth":
      return `DROP EXTENSION IF EXISTS databricks_auth;
        CREATE EXTENSION databricks_auth WITH SCHEMA public;
        ${doBlock(`DECLARE
  metrics regprocedure;
BEGIN
  FOR metrics IN SELECT p.oid FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
      JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
      WHERE e.extname = 'databricks_auth' AND p.proname LIKE '%metrics' LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO pg_monitor', metrics);
  END LOOP;
END`)}`;
    case "grant_databricks_monitor":
      return `GRANT USAGE ON SCHEMA neon TO databricks_monitor;
        GRANT SELECT, INSERT, UPDATE ON public.health_check TO databricks_monitor;
        GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_dir(text) TO databricks_monitor;
        ALTER ROLE databricks_monitor SET statement_timeout = '60s';
        ${doBlock(`BEGIN
  IF to_regclass('neon.neon_perf_counters') IS NOT NULL THEN
    GRANT SELECT ON neon.neon_perf_counters TO databricks_monitor;
  END IF;
END`)}`;
    case "create_databricks_functions":
      return `CREATE OR REPLACE FUNCTION public.health_check_write_succeeds() RETURNS boolean LANGUAGE plpgsql
        SET search_path = pg_catalog AS $body$
        BEGIN
          INSERT INTO public.health_check VALUES (1, now()) ON CONFLICT (id) DO UPDATE SET updated_at = now();
          RETURN true;
        EXCEPTION WHEN OTHERS THEN
          RETURN false;
        END $body$`;
  }
}
