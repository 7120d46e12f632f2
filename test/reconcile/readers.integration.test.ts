import { existsSync } from "node:fs";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { locateAllPostgres } from "../../src/postgres/locate.ts";
import { updateNeonExtension } from "../../src/reconcile/post_apply.ts";
import { checkWritability } from "../../src/reconcile/readers/check_writability.ts";
import { dumpDatabaseSchema } from "../../src/reconcile/readers/database_schema.ts";
import { installExtension } from "../../src/reconcile/readers/extensions.ts";
import { grantOnSchema, type Privilege } from "../../src/reconcile/readers/grants.ts";
import { readInsights } from "../../src/reconcile/readers/insights.ts";
import { readInstalledExtensions } from "../../src/reconcile/readers/installed_extensions.ts";
import type { Session } from "../../src/reconcile/session.ts";
import { installation, installations, startServer } from "../support/postgres.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";
import { Cluster, onEachMajor } from "./cluster.ts";

async function inSession<T>(c: Cluster, database: string, work: (session: Session) => Promise<T>): Promise<T> {
  const session = await c.connect(database, "test");
  try {
    return await work(session);
  } finally {
    await session.end();
  }
}

const pgDump = (await locateAllPostgres({ env: process.env }))
  .map(({ binDir, major }) => ({ path: join(binDir, "pg_dump"), major }))
  .find(({ path }) => existsSync(path));

onEachMajor(
  "readers",
  (cluster, major) => {
    test("reconcile.md case 68: privileges on a schema, only what is missing, for roles that cannot log in too", async () => {
      const c = cluster();
      await c.reconcile({ roles: [{ name: "dbo" }], databases: [{ name: "grants", owner: "dbo" }] });
      await c.query('CREATE ROLE "No Login"; CREATE SCHEMA "Sch""ema"', "grants");
      const grant = (...privileges: Privilege[]) =>
        inSession(c, "grants", (session) =>
          grantOnSchema(session, { schema: 'Sch"ema', role: "No Login", privileges }),
        );
      await grant("USAGE");
      await grant("CREATE", "USAGE");
      await c.as("No Login", 'CREATE TABLE "Sch""ema".t ()', "grants");
      await c.query("ALTER DATABASE grants SET default_transaction_read_only = on");
      const lsn = await c.value("SELECT pg_current_wal_insert_lsn()::text");
      await grant("CREATE", "USAGE");
      expect(await c.value("SELECT pg_current_wal_insert_lsn()::text")).toBe(lsn);
      await expect(grant("SELECT")).rejects.toMatchObject({
        code: "grant_failed",
        message: 'Failed to execute query: GRANT SELECT ON SCHEMA "Sch""ema" TO "No Login"',
        cause: { code: "0LP01" },
      });
    });

    test("reconcile.md case 69: extensions are created, left, updated; parallel requests all succeed", async () => {
      const c = cluster();
      await c.reconcile({ roles: [{ name: "dbo" }], databases: [{ name: "ext", owner: "dbo" }] });
      const install = (extension: string, version: string) =>
        inSession(c, "ext", (session) =>
          installExtension(session, { extension, version, privilegedRole: "neon_superuser", serverMajor: major }),
        );
      const state = (extension: string) =>
        c.value(
          `SELECT extversion || ' ' || extnamespace::regnamespace FROM pg_extension WHERE extname = '${extension}'`,
          "ext",
        );
      await install("pg_trgm", "1.3");
      expect(await state("pg_trgm")).toBe("1.3 public");
      await install("pg_trgm", "1.3");
      await install("pg_trgm", "1.5");
      expect(await state("pg_trgm")).toBe("1.5 public");
      await expect(install("pg_trgm", "99")).rejects.toMatchObject({ code: "extension_failed" });
      await expect(install('no"such', "1")).rejects.toMatchObject({ code: "extension_failed" });
      // Its control file says pg_catalog.
      await install("adminpack", "2.1").catch((error: { cause?: { code?: string } }) => {
        if (major <= 16) throw error;
      });
      if (major <= 16) expect(await state("adminpack")).toBe("2.1 pg_catalog");
      await Promise.all(Array.from({ length: 10 }, () => install("hstore", "1.7")));
      expect(await state("hstore")).toBe("1.7 public");
      await install("postgres_fdw", "1.0").catch(async () => await install("postgres_fdw", "1.1"));
      expect(
        await c.value("SELECT has_foreign_data_wrapper_privilege('neon_superuser', 'postgres_fdw', 'USAGE')", "ext"),
      ).toBe(true);
    });

    test("reconcile.md case 71: unknown and closed databases, a client that goes away, a program that is missing", async () => {
      const c = cluster();
      const dump = (database: string, more: { pgDump?: string; signal?: AbortSignal } = {}) =>
        dumpDatabaseSchema({
          pgDump: pgDump?.path ?? "pg_dump",
          host: "127.0.0.1",
          port: c.server.port,
          user: "cloud_admin",
          env: {},
          log: c.logger,
          database,
          ...more,
        });
      await expect(dump("postgres", { pgDump: "/nonexistent/pg_dump" })).rejects.toMatchObject({
        code: "pg_dump_missing",
      });
      if (pgDump === undefined) return;
      await expect(dump("not there")).rejects.toMatchObject({ code: "database_not_found", status: 404 });
      await c.query("CREATE DATABASE closed ALLOW_CONNECTIONS false");
      await expect(dump("closed")).rejects.toMatchObject({ code: "pg_dump_failed", status: 500 });
      if (major > pgDump.major) {
        await expect(dump("postgres")).rejects.toMatchObject({
          code: "pg_dump_failed",
          message: expect.stringContaining("server version mismatch"),
        });
        return;
      }
      const stream = await dump("postgres");
      await stream.cancel();
      await vi.waitUntil(
        async () => (await c.query("SELECT FROM pg_stat_activity WHERE application_name = 'pg_dump'")).length === 0,
      );
    });

    test("reconcile.md case 72: a write that shows, also when a trigger lies in wait; none on a full disk's account", async () => {
      const c = cluster();
      const moved = () => c.value<string>("SELECT updated_at::text FROM public.health_check");
      const before = await moved();
      await c.query(
        `CREATE FUNCTION public.trap() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''sprung''; END';
         CREATE TRIGGER trap BEFORE UPDATE ON public.health_check FOR EACH ROW EXECUTE FUNCTION public.trap()`,
      );
      expect(await inSession(c, "postgres", checkWritability)).toBe("written");
      expect(await moved()).not.toBe(before);
      const full = Object.assign(new Error("could not extend file"), { severity: "ERROR", code: "53100" });
      expect(await checkWritability({ script: () => Promise.reject(full) } as unknown as Session)).toBe("disk_full");
      await c.query("DROP TABLE public.health_check");
      await expect(inSession(c, "postgres", checkWritability)).rejects.toMatchObject({ code: "42P01" });
      await c.query(
        "CREATE ROLE squat; CREATE TABLE public.health_check (id int4 PRIMARY KEY, updated_at timestamptz); ALTER TABLE public.health_check OWNER TO squat",
      );
      await expect(inSession(c, "postgres", checkWritability)).rejects.toMatchObject({ code: "42501" });
    });

    test("reconcile.md case 49: pg_stat_statements where it is preloaded, only in the system database, and its figures", async () => {
      const c = cluster();
      expect(JSON.parse(await inSession(c, "postgres", readInsights))).toEqual({ pg_stat_statements: [] });
      await c.reconcile({ settings: [{ name: "shared_preload_libraries", value: "neon", vartype: "string" }] });
      const there = (database: string) =>
        c.value(
          "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'pg_stat_statements'",
          database,
        );
      expect(await there("postgres")).toBeUndefined();
      const spec = {
        settings: [{ name: "shared_preload_libraries", value: "neon,pg_stat_statements", vartype: "string" }],
      };
      await c.reconcile(spec);
      expect(await there("postgres")).toBe("public");
      expect(await there("template1")).toBeUndefined();
      expect((await c.reconcile(spec)).applied).toEqual([]);
      await c.reconcile({ roles: [{ name: "querier" }] });
      await c.as("querier", "SELECT 4711 AS asked_by_a_user; SELECT public.pg_stat_statements_reset(0, 0, 1)");
      await c.as("querier", "SELECT 4712 AS asked_by_a_user");
      const read = JSON.parse(await inSession(c, "postgres", readInsights)) as {
        pg_stat_statements: { query: string; userid: unknown }[];
      };
      expect(read.pg_stat_statements.some(({ query }) => query.includes("asked_by_a_user"))).toBe(true);
      expect(read.pg_stat_statements.some(({ query }) => query.includes("pg_shdepend"))).toBe(false);
      const conf = { postgresqlConf: "shared_preload_libraries = 'pg_stat_statements'\n" };
      expect((await c.reconcile(conf)).applied).toEqual([]);
    });

    test("the census of extensions", async () => {
      const c = cluster();
      const { extensions } = await readInstalledExtensions(c.connect, "postgres");
      const databases = await c.value<number>("SELECT count(*)::int FROM pg_database WHERE datallowconn");
      expect(extensions).toContainEqual({
        extname: "plpgsql",
        version: "1.0",
        n_databases: databases,
        owned_by_superuser: "1",
      });
      expect(extensions).toContainEqual({ extname: "hstore", version: "1.7", n_databases: 1, owned_by_superuser: "1" });
    });

    test("audit levels without the extension are said and change nothing else; the setting is made once", async () => {
      const c = cluster();
      const run = await c.reconcile({ audit: "Hipaa" });
      expect(run.applied.map(({ kind }) => kind)).toContain("exclude_from_audit");
      expect(c.log.join("")).toContain("extension pgauditlogtofile is not available");
      const second = await c.reconcile({ audit: "Hipaa" });
      expect(second.applied.map(({ kind }) => kind)).not.toContain("exclude_from_audit");
    });

    test("lakebase adds its roles and grants, and may run again", async () => {
      const c = cluster();
      await c.query("DROP TABLE IF EXISTS public.health_check");
      const context = { lakebase: true };
      await c.reconcile({}, { context });
      await c.reconcile({}, { context });
      expect(await c.value("SELECT public.health_check_write_succeeds()")).toBe(true);
      expect(
        await c.value(
          "SELECT string_agg(rolname || rolsuper, ' ' ORDER BY rolname) FROM pg_roles WHERE rolname LIKE 'databricks%'",
        ),
      ).toBe("databricks_control_planetrue databricks_gatewayfalse databricks_monitorfalse");
    });
  },
  { settings: { shared_preload_libraries: "pg_stat_statements" } },
);

test.skipIf(!installations().some(({ major }) => major === 18))(
  "reconcile.md case 50: Neon's extension is created in its schema, moved there, and updated; audit extensions are created where they are",
  async () => {
    // 18 can be told where extensions lie, so SQL-only ones of these names stand in for the real ones.
    await using directory = await temporaryDirectory();
    const files = join(directory.path, "extension");
    await mkdir(files);
    for (const name of ["neon", "pgaudit", "pgauditlogtofile"]) {
      await writeFile(join(files, `${name}.control`), "default_version = '1.6'\nrelocatable = true\n");
      await writeFile(
        join(files, `${name}--1.0.sql`),
        `CREATE FUNCTION ${name}_old() RETURNS int LANGUAGE sql AS 'SELECT 1';`,
      );
      await writeFile(
        join(files, `${name}--1.0--1.6.sql`),
        `CREATE FUNCTION ${name}_new() RETURNS int LANGUAGE sql AS 'SELECT 1';`,
      );
    }
    await chmod(directory.path, 0o755);
    await using server = await startServer({
      installation: installation(18),
      settings: { extension_control_path: `${directory.path}:$system` },
    });
    const c = new Cluster(server);
    const state = () =>
      c.value(
        "SELECT string_agg(extname || ' ' || extversion || ' ' || extnamespace::regnamespace, ', ' ORDER BY 1) FROM pg_extension WHERE extname LIKE 'neon%' OR extname LIKE 'pgaudit%'",
      );
    const context = { neonServer: true };
    await c.reconcile({}, { context });
    expect(await state()).toBe("neon 1.6 neon");
    await c.query(
      "DROP EXTENSION neon; CREATE EXTENSION neon WITH SCHEMA public VERSION '1.0'; UPDATE pg_extension SET extrelocatable = false WHERE extname = 'neon'",
    );
    await updateNeonExtension({ connect: c.connect, systemDatabase: "postgres", log: c.logger });
    expect(await state()).toBe("neon 1.6 public");
    await c.reconcile({ audit: "Full" }, { context });
    expect(await state()).toBe("neon 1.6 neon, pgaudit 1.6 public, pgauditlogtofile 1.6 public");
    expect((await c.reconcile({ audit: "Full" }, { context })).applied).toEqual([]);
    await c.query("DROP EXTENSION neon");
    await updateNeonExtension({ connect: c.connect, systemDatabase: "postgres", log: c.logger });
    expect(c.log.join("")).toContain("error while post_apply_config: ");
  },
);
