import { expect, test } from "vitest";
import { onEachMajor } from "./cluster.ts";

onEachMajor("settings of a database owner", (cluster, major) => {
  test("reconcile.md case 46, reconcile.md case 47: no setting of an owner breaks a run", async () => {
    const c = cluster();
    const spec = { roles: [{ name: "villain" }], databases: [{ name: "lair", owner: "villain" }] };
    await c.reconcile(spec);
    const settings: [string, string][] = [
      ["role", "villain"],
      ["default_transaction_read_only", "on"],
      ["search_path", "evil"],
      ["statement_timeout", "1"],
      ["lock_timeout", "1"],
      ["idle_session_timeout", "1ms"],
      ["idle_in_transaction_session_timeout", "1ms"],
      ["default_transaction_isolation", "serializable"],
      ["local_preload_libraries", "nosuch"],
      ...(major >= 17 ? ([["transaction_timeout", "1ms"]] as [string, string][]) : []),
    ];
    for (const [name, value] of settings) {
      await c.as("villain", `ALTER DATABASE lair SET ${name} = '${value}'`);
      if (major !== 14 || name !== "local_preload_libraries")
        await c.as("villain", `ALTER ROLE villain SET ${name} = '${value}'`);
    }
    await c.query("DELETE FROM neon.compute_ctl_state");
    await c.query("ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM neon_superuser", "lair");
    const run = await c.reconcile(spec);
    expect(run.applied.map(({ kind }) => kind)).toEqual(["adjust_schema", "record_visits"]);
    await c.reconcile({
      operations: [
        { action: "delete_db", name: "lair" },
        { action: "delete_role", name: "villain" },
      ],
    });
    expect(await c.query("SELECT FROM pg_roles WHERE rolname = 'villain'")).toEqual([]);
  });

  test("reconcile.md case 48: a schema that is named with two apostrophes is not searched", async () => {
    const c = cluster();
    const spec = { roles: [{ name: "trapper" }], databases: [{ name: "trap", owner: "trapper" }] };
    await c.reconcile(spec);
    await c.as(
      "trapper",
      `CREATE SCHEMA "''"; CREATE SCHEMA trapper;
       CREATE FUNCTION "''".now() RETURNS timestamptz LANGUAGE sql AS 'SELECT NULL::timestamptz';
       CREATE TABLE "''".pg_namespace (nspname name, oid oid, nspowner oid)`,
      "trap",
    );
    const session = await c.connect("trap", "test");
    const [row] = await session.query<{ path: string; schemas: string[]; now: string | null }>(
      "SELECT current_setting('search_path') AS path, current_schemas(true)::text[] AS schemas, now()::text AS now",
    );
    await session.end();
    expect(row?.path).toBe("");
    expect(row?.schemas).toEqual(["pg_catalog"]);
    expect(row?.now).not.toBeNull();
    await c.query("DELETE FROM neon.compute_ctl_state");
    await c.reconcile(spec);
  });

  test("what users write into our state costs a visit, never a start", async () => {
    const c = cluster();
    const spec = { roles: [{ name: "writer" }], databases: [{ name: "written", owner: "writer" }] };
    await c.reconcile(spec);
    await c
      .as("writer", "UPDATE neon.compute_ctl_state SET value = repeat('99999999999=1/1 x=', 100000)")
      .catch(() => undefined);
    await c.query("UPDATE neon.compute_ctl_state SET value = '\\ '' garbage 12=99/1 =/'");
    expect((await c.reconcile(spec)).applied.map(({ kind }) => kind)).toContain("adjust_schema");
    expect((await c.reconcile(spec)).applied).toEqual([]);
  });

  test("a table of somebody else in place of the availability table is neither used nor a reason to fail", async () => {
    const c = cluster();
    await c.query(
      "DROP TABLE public.health_check; CREATE ROLE squatter; CREATE TABLE public.health_check (id int4 PRIMARY KEY, updated_at timestamptz); ALTER TABLE public.health_check OWNER TO squatter",
    );
    expect((await c.reconcile({})).applied).toEqual([]);
    expect(c.log.join("")).toContain("public.health_check of database postgres belongs to squatter");
  });
});
