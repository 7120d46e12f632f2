import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Client } from "pg";
import { expect, test } from "vitest";
import { locateAllPostgres } from "../../src/postgres/locate.ts";
import { dumpDatabaseSchema } from "../../src/reconcile/readers/database_schema.ts";
import { readDbsAndRoles } from "../../src/reconcile/readers/dbs_and_roles.ts";
import { type Cluster, onEachMajor, type SpecParts } from "./cluster.ts";

const HOSTILE = [
  "with space",
  "%20",
  "tab\there",
  "new\nline",
  'double"quote',
  "single'quote",
  "back\\slash",
  "$x$",
  "$$",
  "a$",
  "%I",
  "ünïcödé",
  "🐘",
  "x".repeat(63),
  "select",
  "Table",
  "a=b",
  "postgresql://u@h/d",
  "; DROP TABLE x; --",
  "{curly}",
  "$&`$'",
  "host=evil dbname=postgres",
];

interface DatabaseRow {
  datallowconn: boolean;
  datistemplate: boolean;
  owner: string;
  oid: number;
}

async function database(c: Cluster, name: string): Promise<DatabaseRow | undefined> {
  const rows = await c.query<DatabaseRow>(
    `SELECT datallowconn, datistemplate, pg_get_userbyid(datdba)::text AS owner, oid FROM pg_database
     WHERE datname = '${name.replaceAll("'", "''")}'`,
  );
  return rows[0];
}

const owned = (...names: string[]): Pick<SpecParts, "roles" | "databases"> => ({
  roles: [{ name: "dbowner" }],
  databases: names.map((name) => ({ name, owner: "dbowner" })),
});

/** pg_dump reads servers up to its own major; only the system's packages have one. */
const pgDump = (await locateAllPostgres({ env: process.env }))
  .map(({ binDir, major }) => ({ path: join(binDir, "pg_dump"), major }))
  .find(({ path }) => existsSync(path));

onEachMajor("databases", (cluster, major) => {
  test("reconcile.md case 14: hostile names are created, listed, dumped and deleted as they are", async () => {
    const c = cluster();
    // Every name as a role and as a database, each owned by the role of its name.
    const names = major % 2 === 0 ? HOSTILE.filter((_, i) => i % 2 === 0) : HOSTILE.filter((_, i) => i % 2 === 1);
    const roles = HOSTILE.map((name) => ({ name }));
    const databases = names.map((name) => ({ name, owner: name }));
    await c.reconcile({ roles, databases });
    expect((await c.reconcile({ roles, databases })).applied).toEqual([]);
    const session = await c.connect("postgres", "test");
    const read = await readDbsAndRoles(session);
    await session.end();
    for (const name of names) expect(read.databases.find((each) => each.name === name)).toMatchObject({ owner: name });
    for (const name of HOSTILE) expect(read.roles.some((each) => each.name === name)).toBe(true);
    if (pgDump !== undefined && major <= pgDump.major)
      for (const name of names) {
        const options = {
          pgDump: pgDump.path,
          host: "127.0.0.1",
          port: c.server.port,
          user: "cloud_admin",
          env: {},
          log: c.logger,
        };
        const text = await new Response(await dumpDatabaseSchema({ ...options, database: name })).text();
        expect(text).toContain("-- PostgreSQL database dump complete");
      }
    const renamed = names.map((name, i) => ({
      action: "rename_db",
      name,
      new_name: `${[...name].slice(0, 20).join("")}${i}'"`,
    }));
    await c.reconcile({
      operations: [
        ...renamed,
        ...renamed.map(({ new_name }) => ({ action: "delete_db", name: new_name })),
        ...HOSTILE.map((name) => ({ action: "delete_role", name })),
      ],
    });
    const after = await c.query<{ name: string }>(
      "SELECT datname::text AS name FROM pg_database UNION ALL SELECT rolname FROM pg_authid",
    );
    expect(
      after.filter(({ name }) => HOSTILE.includes(name) || renamed.some(({ new_name }) => new_name === name)),
    ).toEqual([]);
  });

  test("reconcile.md case 16, reconcile.md case 17, reconcile.md case 82: options, the grant, and a template of the same spec", async () => {
    const c = cluster();
    await c.reconcile({
      roles: [{ name: "dbowner" }],
      databases: [
        {
          name: "from first",
          owner: "dbowner",
          options: [{ name: "TEMPLATE", value: '"the first"', vartype: "enum" }],
        },
        {
          name: "the first",
          owner: "dbowner",
          options: [
            { name: "LC_COLLATE", value: "C", vartype: "string" },
            { name: "LC_CTYPE", value: "C", vartype: "string" },
            { name: "TEMPLATE", value: "template0", vartype: "enum" },
          ],
        },
      ],
    });
    expect(await c.value("SELECT datcollate FROM pg_database WHERE datname = 'the first'")).toBe("C");
    const privileges = await c.query<{ privilege_type: string }>(
      `SELECT privilege_type FROM pg_database, aclexplode(datacl) WHERE datname = 'from first'
       AND grantee = 'neon_superuser'::regrole ORDER BY 1`,
    );
    expect(privileges.map((row) => row.privilege_type)).toEqual(["CONNECT", "CREATE", "TEMPORARY"]);
  });

  test("reconcile.md case 18, reconcile.md case 19, reconcile.md case 20: a lost grant comes back, owners follow the spec, a missing owner fails the run", async () => {
    const c = cluster();
    const spec = owned("granted");
    await c.reconcile(spec);
    await c.query("REVOKE ALL ON DATABASE granted FROM neon_superuser");
    expect((await c.reconcile(spec)).applied.map(({ kind }) => kind)).toEqual(["grant_database"]);
    expect(await c.value("SELECT has_database_privilege('neon_superuser', 'granted', 'CREATE')")).toBe(true);
    const quoted = { roles: [{ name: 'Ow"ner' }], databases: [{ name: "granted", owner: 'Ow"ner' }] };
    await c.reconcile(quoted);
    expect((await database(c, "granted"))?.owner).toBe('Ow"ner');
    expect((await c.reconcile(quoted)).applied).toEqual([]);
    const failures = await c.failures({ databases: [{ name: "orphan", owner: "nobody there" }] });
    expect(failures[0]).toMatchObject({ code: "42704", object: { kind: "database", name: "orphan" } });
    expect(failures[0]?.message).toContain("nobody there");
  });

  test("reconcile.md case 21, reconcile.md case 22: who owns schema public", async () => {
    const c = cluster();
    await c.reconcile(owned("schemas"));
    const owner = () => c.value("SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'public'", "schemas");
    expect(await owner()).toBe(major === 14 ? "dbowner" : "pg_database_owner");
    await c.query("CREATE ROLE artist");
    await c.query("ALTER SCHEMA public OWNER TO artist", "schemas");
    await c.reconcile(owned("schemas"));
    expect(await owner()).toBe("artist");
  });

  test("reconcile.md case 23, reconcile.md case 24: what a superuser creates in public is the privileged role's, also after public was dropped and made again", async () => {
    const c = cluster();
    const spec = owned("defaults");
    await c.reconcile(spec);
    const grantable = async (relation: string): Promise<string[]> =>
      (
        await c.query<{ privilege_type: string }>(
          `SELECT privilege_type FROM pg_class, aclexplode(relacl) WHERE oid = 'public.${relation}'::regclass
           AND grantee = 'neon_superuser'::regrole AND is_grantable ORDER BY 1`,
          "defaults",
        )
      ).map((row) => row.privilege_type);
    await c.query("CREATE TABLE public.t (); CREATE SEQUENCE public.s", "defaults");
    expect(await grantable("t")).toEqual([
      "DELETE",
      "INSERT",
      ...(major >= 17 ? ["MAINTAIN"] : []),
      "REFERENCES",
      "SELECT",
      "TRIGGER",
      "TRUNCATE",
      "UPDATE",
    ]);
    expect(await grantable("s")).toEqual(["SELECT", "UPDATE", "USAGE"]);
    await c.query("DROP SCHEMA public CASCADE", "defaults");
    await c.reconcile(spec);
    await c.query("CREATE SCHEMA public", "defaults");
    await c.reconcile(spec);
    await c.query("CREATE TABLE public.t ()", "defaults");
    expect(await grantable("t")).toContain("SELECT");
    expect((await c.reconcile(spec)).applied).toEqual([]);
  });

  test("reconcile.md case 26, reconcile.md case 27, reconcile.md case 28: databases in use, templates and unknown names are deleted", async () => {
    const c = cluster();
    await c.reconcile(owned("in use", "a template"));
    const user = await c.server.connect("in use");
    await c.query('ALTER DATABASE "a template" IS_TEMPLATE true');
    const operations = ["in use", "a template", "never was"].map((name) => ({ action: "delete_db", name }));
    await c.reconcile({ operations });
    expect(await database(c, "in use")).toBeUndefined();
    expect(await database(c, "a template")).toBeUndefined();
    await expect(user.query("SELECT 1")).rejects.toThrow();
  });

  test("reconcile.md case 31, reconcile.md case 83: a rename works against open sessions and clients that keep coming back", async () => {
    const c = cluster();
    await c.reconcile(owned("old name"));
    const { oid } = (await database(c, "old name")) ?? {};
    const stop = new AbortController();
    const reconnecting = Array.from({ length: 4 }, async () => {
      while (!stop.signal.aborted) {
        let client: Client | undefined;
        try {
          client = await c.server.connect("old name");
          await client.query("SELECT pg_sleep(10)");
        } catch {
          await client?.end().catch(() => undefined);
          await delay(2);
        }
      }
    });
    await delay(30);
    const spec = {
      ...owned("new name"),
      operations: [{ action: "rename_db", name: "old name", new_name: "new name" }],
    };
    const started = performance.now();
    await c.reconcile(spec);
    expect(performance.now() - started).toBeLessThan(4_000);
    stop.abort();
    await Promise.all(reconnecting);
    expect(await database(c, "new name")).toMatchObject({ oid, datallowconn: true });
    expect(await database(c, "old name")).toBeUndefined();
    expect((await c.reconcile(spec)).applied).toEqual([]);
  });

  test("a delete that a rename follows is not repeated on what has been renamed", async () => {
    const c = cluster();
    await c.reconcile(owned("staging", "live"));
    const staging = await database(c, "staging");
    const spec = {
      ...owned("live"),
      operations: [
        { action: "delete_db", name: "live" },
        { action: "rename_db", name: "staging", new_name: "live" },
      ],
    };
    await c.reconcile(spec);
    expect((await database(c, "live"))?.oid).toBe(staging?.oid);
    expect((await c.reconcile(spec)).applied).toEqual([]);
    expect((await database(c, "live"))?.oid).toBe(staging?.oid);
  });

  test("reconcile.md case 44, reconcile.md case 45: invalid databases go, closed ones are left alone", async () => {
    const c = cluster();
    await c.reconcile(owned("broken", "broken too", "closed"));
    await c.query("UPDATE pg_database SET datconnlimit = -2 WHERE datname LIKE 'broken%'");
    await c.query("ALTER DATABASE closed ALLOW_CONNECTIONS false");
    // A new server version would make every database due for a visit.
    await c.query("DELETE FROM neon.compute_ctl_state WHERE key = 'visits'");
    const before = await database(c, "broken");
    await c.reconcile(owned("broken", "closed"));
    expect((await database(c, "broken"))?.oid).not.toBe(before?.oid);
    expect(await database(c, "broken too")).toBeUndefined();
    expect(await database(c, "closed")).toMatchObject({ datallowconn: false });
    expect(c.log.join("")).toContain("database closed is (restrict_conn=true, invalid=false)");
  });

  test("reconcile.md case 67: operations with an id are done once", async () => {
    const c = cluster();
    const spec = (operationUuid: string | undefined): SpecParts => ({
      ...owned(),
      operations: [{ action: "delete_db", name: "again" }],
      ...(operationUuid === undefined ? {} : { operationUuid }),
    });
    await c.reconcile(owned("again"));
    await c.reconcile(spec("11111111-0000-0000-0000-000000000000"));
    expect(await database(c, "again")).toBeUndefined();
    await c.query("CREATE DATABASE again");
    expect((await c.reconcile(spec("11111111-0000-0000-0000-000000000000"))).applied).toEqual([]);
    expect(await database(c, "again")).toBeDefined();
    await c.reconcile(spec(undefined));
    expect(await database(c, "again")).toBeUndefined();
  });

  test("a failed rename does not let an empty database take the new name", async () => {
    const c = cluster();
    await c.reconcile(owned("precious"));
    await c.query("ALTER DATABASE precious IS_TEMPLATE false");
    const holder = await c.server.connect("precious");
    await holder.query("SELECT 1");
    const connect: typeof c.connect = async (name, application) => {
      const session = await c.connect(name, application);
      return {
        ...session,
        pipeline: (messages) =>
          session.pipeline(messages.map((message) => (message.includes("RENAME TO") ? "SELECT 1/0" : message))),
      };
    };
    const operations = [{ action: "rename_db", name: "precious", new_name: "renamed" }];
    const run = await c.reconcile({ ...owned("renamed"), operations }, { connect, objectFailures: "collect" });
    expect(run.failures.map(({ code }) => code)).toEqual(["22012"]);
    expect(await database(c, "renamed")).toBeUndefined();
    await c.reconcile({ ...owned("renamed"), operations });
    expect(await database(c, "renamed")).toBeDefined();
    await expect(holder.query("SELECT 1")).rejects.toThrow();
  });
});
