import { expect, test } from "vitest";
import { type Cluster, onEachMajor, type SpecParts } from "./cluster.ts";

const HOSTILE = `do"om'ed $x$ \\`;
const q = (name: string): string => `"${name.replaceAll('"', '""')}"`;

async function roleIsGone(c: Cluster, name: string): Promise<boolean> {
  return (
    (await c.query(`SELECT FROM pg_authid WHERE rolname = E'${name.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`))
      .length === 0
  );
}

/** Two databases of ordinary owners in the spec, one that only exists; made once a server. */
const base = (roles: readonly string[] = []): SpecParts => ({
  roles: ["own1", "own2", ...roles].map((name) => ({ name })),
  databases: [
    { name: "one", owner: "own1" },
    { name: "two", owner: "own2" },
  ],
});

const removal = (...names: string[]): SpecParts => ({
  ...base(),
  operations: names.map((name) => ({ action: "delete_role", name })),
});

onEachMajor("role removal", (cluster, major) => {
  test("reconcile.md case 34: tables in two databases go to the databases' owners", async () => {
    const c = cluster();
    await c.reconcile(base([HOSTILE]));
    for (const database of ["one", "two"]) {
      await c.query(`GRANT CREATE ON SCHEMA public TO ${q(HOSTILE)}`, database);
      await c.as(HOSTILE, "CREATE TABLE public.t34 (); CREATE VIEW public.v34 AS SELECT 1", database);
    }
    await c.reconcile(removal(HOSTILE));
    expect(await roleIsGone(c, HOSTILE)).toBe(true);
    const owner = "SELECT string_agg(relowner::regrole::text, ',') FROM pg_class WHERE relname IN ('t34', 'v34')";
    expect(await c.value(owner, "one")).toBe("own1,own1");
    expect(await c.value(owner, "two")).toBe("own2,own2");
    expect((await c.reconcile(removal(HOSTILE))).applied).toEqual([]);
  });

  test("reconcile.md case 35, reconcile.md case 36, reconcile.md case 37: table privileges that others granted", async () => {
    const c = cluster();
    const granter = `gr"ant'er`;
    await c.reconcile(base(["d35", granter]));
    await c.query("CREATE TABLE public.t35 (); CREATE VIEW public.v35 AS SELECT 1", "one");
    await c.query(
      `SET ROLE neon_superuser; GRANT SELECT ON public.t35 TO d35 WITH GRANT OPTION; GRANT SELECT ON public.t35 TO ${q(granter)} WITH GRANT OPTION`,
      "one",
    );
    await c.as(granter, "GRANT SELECT ON public.t35 TO d35", "one");
    await c.reconcile(removal("d35"));
    expect(await roleIsGone(c, "d35")).toBe(true);
    expect(await c.value(`SELECT has_table_privilege('gr"ant''er', 'public.t35', 'SELECT')`, "one")).toBe(true);

    await c.reconcile(base(["d36"]));
    await c.query(
      "CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.t36 (); GRANT USAGE ON SCHEMA elsewhere TO neon_superuser; GRANT SELECT ON elsewhere.t36 TO neon_superuser WITH GRANT OPTION",
      "two",
    );
    await c.query("SET ROLE neon_superuser; GRANT SELECT ON elsewhere.t36 TO d36", "two");
    await c.query("DROP SCHEMA public CASCADE", "two");
    await c.reconcile(removal("d36"));
    expect(await roleIsGone(c, "d36")).toBe(true);
    await c.query("CREATE SCHEMA public", "two");
  });

  test("reconcile.md case 38, reconcile.md case 39: every kind of object, and privileges that were passed on", async () => {
    const c = cluster();
    await c.reconcile(base(["d38", "heir38"]));
    await c.query(
      `CREATE SCHEMA s38; CREATE TABLE s38.t (a int, b int); CREATE SEQUENCE s38.s; CREATE DOMAIN s38.dom AS int;
       CREATE TYPE s38.typ AS ENUM ('x'); CREATE FUNCTION s38.f(s38.typ, text[]) RETURNS int LANGUAGE sql AS 'SELECT 1';
       CREATE PROCEDURE s38.p(OUT o int) LANGUAGE sql AS 'SELECT 1'; CREATE AGGREGATE s38.agg(int) (SFUNC = int4pl, STYPE = int);
       CREATE FOREIGN DATA WRAPPER fdw38; CREATE SERVER srv38 FOREIGN DATA WRAPPER fdw38; SELECT lo_create(3838);
       REVOKE ALL ON ALL ROUTINES IN SCHEMA s38 FROM PUBLIC;
       GRANT USAGE, CREATE ON SCHEMA s38 TO neon_superuser WITH GRANT OPTION;
       GRANT ALL ON s38.t TO neon_superuser WITH GRANT OPTION; GRANT UPDATE (b) ON s38.t TO neon_superuser WITH GRANT OPTION;
       GRANT ALL ON SEQUENCE s38.s TO neon_superuser WITH GRANT OPTION;
       GRANT ALL ON DOMAIN s38.dom TO neon_superuser WITH GRANT OPTION; GRANT ALL ON TYPE s38.typ TO neon_superuser WITH GRANT OPTION;
       GRANT ALL ON ALL ROUTINES IN SCHEMA s38 TO neon_superuser WITH GRANT OPTION;
       GRANT USAGE ON FOREIGN DATA WRAPPER fdw38 TO neon_superuser WITH GRANT OPTION;
       GRANT USAGE ON FOREIGN SERVER srv38 TO neon_superuser WITH GRANT OPTION;
       GRANT ALL ON LARGE OBJECT 3838 TO neon_superuser WITH GRANT OPTION;
       GRANT USAGE ON LANGUAGE sql TO neon_superuser WITH GRANT OPTION`,
      "one",
    );
    const grants = `GRANT USAGE ON SCHEMA s38 TO d38 WITH GRANT OPTION; GRANT SELECT, UPDATE (b) ON s38.t TO d38 WITH GRANT OPTION;
      GRANT USAGE ON SEQUENCE s38.s TO d38; GRANT USAGE ON TYPE s38.dom TO d38; GRANT USAGE ON TYPE s38.typ TO d38;
      GRANT EXECUTE ON ROUTINE s38.f(s38.typ, text[]) TO d38; GRANT EXECUTE ON PROCEDURE s38.p TO d38;
      GRANT EXECUTE ON FUNCTION s38.agg(int) TO d38; GRANT USAGE ON FOREIGN DATA WRAPPER fdw38 TO d38;
      GRANT USAGE ON FOREIGN SERVER srv38 TO d38; GRANT SELECT ON LARGE OBJECT 3838 TO d38; GRANT USAGE ON LANGUAGE sql TO d38`;
    await c.query(`SET ROLE neon_superuser; ${grants}`, "one");
    await c.as("d38", "GRANT SELECT, UPDATE (b) ON s38.t TO heir38; GRANT USAGE ON SCHEMA s38 TO heir38", "one");
    await c.reconcile(removal("d38"));
    expect(await roleIsGone(c, "d38")).toBe(true);
    expect(
      await c.value("SELECT has_schema_privilege('neon_superuser', 's38', 'USAGE WITH GRANT OPTION')", "one"),
    ).toBe(true);
    expect(
      await c.value(
        "SELECT count(*)::int FROM pg_class, aclexplode(relacl) WHERE relname = 't' AND grantee = 'heir38'::regrole",
        "one",
      ),
    ).toBe(0);
  });

  test("reconcile.md case 40, reconcile.md case 41: databases that the spec does not list; unknown roles visit nothing", async () => {
    const c = cluster();
    await c.reconcile(base(["d40"]));
    await c.query("CREATE DATABASE unlisted40");
    await c.query(
      "CREATE TABLE public.t (); GRANT SELECT ON public.t TO d40; CREATE TABLE public.u (); ALTER TABLE public.u OWNER TO d40",
      "unlisted40",
    );
    await c.reconcile(removal("d40"));
    expect(await roleIsGone(c, "d40")).toBe(true);
    // The database belongs to a superuser, so what the role owned does not follow the database.
    expect(await c.value("SELECT relowner::regrole::text FROM pg_class WHERE relname = 'u'", "unlisted40")).toBe(
      "neon_superuser",
    );
    c.opened.length = 0;
    await c.reconcile(removal("nobody"));
    expect(c.opened).toEqual(["postgres"]);
  });

  test("a database that cannot be visited fails the removal and is named", async () => {
    const c = cluster();
    await c.reconcile(base(["d40b"]));
    await c.query("CREATE DATABASE closed40");
    await c.query("CREATE TABLE public.t (); ALTER TABLE public.t OWNER TO d40b", "closed40");
    await c.query("ALTER DATABASE closed40 ALLOW_CONNECTIONS false");
    const [failure] = await c.failures(removal("d40b"));
    expect(failure).toMatchObject({ object: { kind: "role", name: "d40b" }, code: "2BP01", database: "closed40" });
    await c.query("ALTER DATABASE closed40 ALLOW_CONNECTIONS true");
    await c.reconcile(removal("d40b"));
    expect(await roleIsGone(c, "d40b")).toBe(true);
  });

  test.runIf(major >= 16)("reconcile.md case 43: a role that granted memberships", async () => {
    const c = cluster();
    await c.reconcile(base(["d43"]));
    await c.as("d43", "CREATE ROLE child43; CREATE ROLE friend43; GRANT child43 TO friend43 WITH ADMIN OPTION");
    await c.as("friend43", "GRANT child43 TO own1");
    await c.reconcile(removal("d43"));
    expect(await roleIsGone(c, "d43")).toBe(true);
  });

  test("reconcile.md case 75: somebody else's lock ends the wait, and he is named", async () => {
    const c = cluster();
    await c.reconcile(base(["d75"]));
    await c.query("GRANT CREATE ON SCHEMA public TO d75", "one");
    await c.as("d75", "CREATE TABLE public.t75 ()", "one");
    const blocker = await c.server.connect("one");
    await blocker.query("SET application_name = 'the blocker'; BEGIN; LOCK TABLE public.t75 IN ACCESS SHARE MODE");
    const [failure] = await c.failures(removal("d75"), { limits: { lockTimeoutMs: 400 } });
    expect(failure).toMatchObject({ code: "55P03", database: "one", object: { kind: "role", name: "d75" } });
    expect(failure?.blockers.join()).toContain("'the blocker'");
    await blocker.query("ROLLBACK");
    await c.reconcile(removal("d75"));
    expect(await roleIsGone(c, "d75")).toBe(true);
    await blocker.end();
  });

  test("reconcile.md case 76: nobody's code is given to a superuser", async () => {
    const c = cluster();
    await c.reconcile(base(["d76"]));
    await c.query("CREATE DATABASE admins76");
    await c.query("CREATE DATABASE own76 OWNER d76");
    for (const database of ["postgres", "admins76", "own76", "one"]) {
      await c.query("CREATE SCHEMA s76; GRANT ALL ON SCHEMA s76 TO d76", database);
      await c.as("d76", "CREATE FUNCTION s76.f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'", database);
    }
    await c.reconcile(removal("d76"));
    expect(await roleIsGone(c, "d76")).toBe(true);
    const owner = (database: string) =>
      c.value(
        "SELECT proowner::regrole::text FROM pg_proc WHERE proname = 'f' AND pronamespace = 's76'::regnamespace",
        database,
      );
    expect(await owner("postgres")).toBe("neon_superuser");
    expect(await owner("admins76")).toBe("neon_superuser");
    expect(await owner("own76")).toBe("neon_superuser");
    expect(await owner("one")).toBe("own1");
    expect(await c.value("SELECT datdba::regrole::text FROM pg_database WHERE datname = 'own76'")).toBe("cloud_admin");
  });

  test("reconcile.md case 77: shared objects that others granted", async () => {
    const c = cluster();
    await c.reconcile(base(["d77", "g77"]));
    await c.query("GRANT CONNECT ON DATABASE one TO g77 WITH GRANT OPTION");
    // g77 acts in its own name only when it has not the owner's or the administrator's rights.
    await c.as("g77", "GRANT CONNECT ON DATABASE one TO d77");
    if (major >= 15) {
      await c.query("GRANT SET ON PARAMETER log_min_messages TO g77 WITH GRANT OPTION");
      await c.as("g77", "GRANT SET ON PARAMETER log_min_messages TO d77");
    }
    await c.reconcile(removal("d77"));
    expect(await roleIsGone(c, "d77")).toBe(true);
    expect(await c.value("SELECT has_database_privilege('g77', 'one', 'CONNECT WITH GRANT OPTION')")).toBe(true);
  });

  test("reconcile.md case 78: circular grants, and a grantor that has lost the schema", async () => {
    const c = cluster();
    await c.reconcile(base(["own78", "g78", "d78", "s78"]));
    for (const role of ["own78", "g78", "d78", "s78"]) await c.query(`REVOKE neon_superuser FROM ${role}`);
    await c.query("CREATE SCHEMA sc78 AUTHORIZATION own78; GRANT USAGE ON SCHEMA sc78 TO g78, d78, s78", "one");
    await c.as("own78", "CREATE TABLE sc78.t (); GRANT SELECT ON sc78.t TO g78 WITH GRANT OPTION", "one");
    await c.as("g78", "GRANT SELECT ON sc78.t TO d78 WITH GRANT OPTION", "one");
    await c.as("d78", "GRANT SELECT ON sc78.t TO s78 WITH GRANT OPTION", "one");
    await c.as("s78", "GRANT SELECT ON sc78.t TO d78", "one");
    await c.query("REVOKE USAGE ON SCHEMA sc78 FROM g78, s78", "one");
    const rights = () =>
      c.value(
        "SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM pg_namespace, unnest(nspacl) a WHERE nspname = 'sc78' AND a::text NOT LIKE 'd78=%'",
        "one",
      );
    const before = await rights();
    await c.reconcile(removal("d78"));
    expect(await roleIsGone(c, "d78")).toBe(true);
    expect(await rights()).toBe(before);
    expect(await c.value("SELECT has_table_privilege('g78', 'sc78.t', 'SELECT WITH GRANT OPTION')", "one")).toBe(true);
  });

  test("a grantor who has come to act for the owner, or has become a superuser, is no obstacle", async () => {
    const c = cluster();
    await c.reconcile(base(["d78b", "g78b", "x78b"]));
    for (const role of ["g78b", "x78b", "d78b"]) await c.query(`REVOKE neon_superuser FROM ${role}`);
    await c.query("CREATE SCHEMA sc78b; GRANT ALL ON SCHEMA sc78b TO d78b, g78b, x78b", "postgres");
    await c.as(
      "d78b",
      "CREATE TABLE sc78b.t (id serial); GRANT SELECT ON sc78b.t TO g78b, x78b WITH GRANT OPTION; GRANT USAGE ON SEQUENCE sc78b.t_id_seq TO g78b WITH GRANT OPTION",
    );
    await c.query("CREATE ROLE e78b");
    await c.as("g78b", "GRANT SELECT ON sc78b.t TO e78b; GRANT USAGE ON SEQUENCE sc78b.t_id_seq TO e78b");
    await c.as("x78b", "GRANT SELECT ON sc78b.t TO e78b");
    // The heir of d78b in the system database is the privileged role, and g78b has its rights.
    await c.query("GRANT neon_superuser TO g78b; ALTER ROLE x78b SUPERUSER");
    await c.reconcile(removal("d78b", "e78b"));
    expect(await roleIsGone(c, "d78b")).toBe(true);
    expect(await roleIsGone(c, "e78b")).toBe(true);
    expect(
      await c.value(
        "SELECT relowner::regrole::text FROM pg_class WHERE relname = 't' AND relnamespace = 'sc78b'::regnamespace",
      ),
    ).toBe("neon_superuser");
    expect(await c.value("SELECT rolsuper FROM pg_roles WHERE rolname = 'x78b'")).toBe(true);
  });

  test("a grant that has outlived the option it was made with", async () => {
    const c = cluster();
    await c.reconcile(base(["d78c", "g78c"]));
    await c.query(
      "CREATE TABLE public.t78c (a int); GRANT ALL ON public.t78c TO neon_superuser WITH GRANT OPTION",
      "one",
    );
    await c.query("SET ROLE neon_superuser; GRANT SELECT ON public.t78c TO g78c WITH GRANT OPTION", "one");
    await c.as("g78c", "GRANT SELECT ON public.t78c TO d78c, PUBLIC", "one");
    await c.query("SET ROLE neon_superuser; REVOKE GRANT OPTION FOR SELECT ON public.t78c FROM g78c CASCADE", "one");
    const acl = () => c.value("SELECT relacl::text FROM pg_class WHERE relname = 't78c'", "one");
    expect(await acl()).toContain("d78c=r/g78c");
    const before = String(await acl()).replace(",d78c=r/g78c", "");
    await c.reconcile(removal("d78c"));
    expect(await acl()).toBe(before);
    await c.reconcile(removal("g78c"));
    expect(await roleIsGone(c, "g78c")).toBe(true);
  });

  test("whatever it owns: default privileges, policies, user mappings, event triggers, publications, subscriptions, a superuser's wrapper", async () => {
    const c = cluster();
    await c.reconcile(base(["own_all", "keeper"]));
    await c.query("ALTER ROLE own_all SUPERUSER");
    await c.query(
      `CREATE TABLE public.guarded (id int); ALTER TABLE public.guarded OWNER TO keeper; ALTER TABLE public.guarded ENABLE ROW LEVEL SECURITY;
       CREATE POLICY p ON public.guarded TO own_all USING (true)`,
      "one",
    );
    await c.as(
      "own_all",
      `ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO keeper; CREATE FOREIGN DATA WRAPPER w_all; CREATE SERVER s_all FOREIGN DATA WRAPPER w_all;
       CREATE USER MAPPING FOR own_all SERVER s_all; CREATE SCHEMA sch_all; CREATE PUBLICATION p_all FOR ALL TABLES;
       CREATE FUNCTION sch_all.et() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER et_all ON ddl_command_end EXECUTE FUNCTION sch_all.et();
       CREATE SUBSCRIPTION sub_all CONNECTION 'host=127.0.0.1 port=1 dbname=x' PUBLICATION x WITH (connect = false, slot_name = NONE);
       CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA sch_all`,
      "one",
    );
    await c.query("ALTER ROLE own_all NOSUPERUSER");
    await c.reconcile(removal("own_all"));
    expect(await roleIsGone(c, "own_all")).toBe(true);
    expect(await c.value("SELECT pubowner::regrole::text FROM pg_publication", "one")).toBe("cloud_admin");
    expect(await c.value("SELECT subowner::regrole::text FROM pg_subscription", "one")).toBe(
      major >= 16 ? "own1" : "cloud_admin",
    );
    expect(await c.query("SELECT FROM pg_event_trigger", "one")).toEqual([]);
    await c.query("DROP SUBSCRIPTION sub_all; DROP PUBLICATION p_all", "one");
  });

  test("a role that the spec still needs is refused before anything happens", async () => {
    const c = cluster();
    const failures = await c.failures({
      ...base(["never_made"]),
      operations: ["own1", "cloud_admin", "neon_superuser"].map((name) => ({ action: "delete_role", name })),
    });
    expect(failures.map(({ phase, object }) => [phase, object])).toEqual(
      ["own1", "cloud_admin", "neon_superuser"].map((name) => ["Plan", { kind: "role", name }]),
    );
    expect(await roleIsGone(c, "never_made")).toBe(true);
  });
});
