import { expect, test } from "vitest";
import { desiredState } from "../../src/reconcile/desired.ts";
import { runMigrations } from "../../src/reconcile/migrations/run_migrations.ts";
import { planText } from "../../src/reconcile/plan/plan_text.ts";
import { readDbsAndRoles } from "../../src/reconcile/readers/dbs_and_roles.ts";
import { makePlan } from "../../src/reconcile/reconcile.ts";
import { type Cluster, onEachMajor, specOf } from "./cluster.ts";

const SCRAM =
  "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0$" +
  "rQ2uu2R6kmU4oQEr0b0QVYkqgmVqVsqWvDkUQcMHBZI=:4oQEr0b0QVYkqgmVqVsqWvDkUQcMHBZIrQ2uu2R6kmU=";
const HEX = "0123456789abcdef0123456789abcdef";

interface RoleRow {
  [name: string]: unknown;
  rolpassword: string | null;
  xmin: string;
  oid: number;
  rolconnlimit: number;
}

async function role(cluster: Cluster, name: string): Promise<RoleRow | undefined> {
  const rows = await cluster.query<RoleRow>(
    `SELECT rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls, rolconnlimit,
       rolpassword, xmin::text, oid FROM pg_authid WHERE rolname = '${name.replaceAll("'", "''")}'`,
  );
  return rows[0];
}

async function membershipsOf(cluster: Cluster, name: string): Promise<string[]> {
  const rows = await cluster.query<{ role: string }>(
    `SELECT roleid::regrole::text || CASE WHEN admin_option THEN ' admin' ELSE '' END AS role FROM pg_auth_members
     WHERE member = '${name}'::regrole ORDER BY 1`,
  );
  return rows.map((row) => row.role);
}

onEachMajor("roles", (cluster, major) => {
  test("reconcile.md case 1, reconcile.md case 73: an empty spec gives the privileged role, the availability table and schema neon", async () => {
    const c = cluster();
    await c.reconcile({});
    expect(await role(c, "neon_superuser")).toMatchObject({
      rolsuper: false,
      rolcanlogin: false,
      rolinherit: true,
      rolcreaterole: true,
      rolcreatedb: true,
      rolreplication: true,
      rolbypassrls: true,
      rolconnlimit: -1,
    });
    expect(await c.query("SELECT id FROM public.health_check")).toEqual([{ id: 1 }]);
    expect(await c.value("SELECT to_regclass('public.health_check')", "template1")).toBeNull();
    expect(await c.value("SELECT nspname::text FROM pg_namespace WHERE nspname = 'neon'")).toBe("neon");
    expect(await c.query("SELECT FROM pg_extension WHERE extname = 'neon'")).toEqual([]);
    expect(c.server.log.filter((record) => /ERROR/.test(record))).toEqual([]);
  });

  test("reconcile.md case 1: with the migrations the privileged role holds exactly what the contract's table says, and a loss is repaired", async () => {
    const c = cluster();
    await runMigrations({
      connect: c.connect,
      systemDatabase: "postgres",
      privilegedRole: "neon_superuser",
      log: c.logger,
    });
    const wanted = [
      ...(major >= 16 ? ["pg_create_subscription"] : []),
      "pg_monitor admin",
      "pg_read_all_data",
      "pg_signal_backend admin",
      "pg_write_all_data",
    ];
    expect(await membershipsOf(c, "neon_superuser")).toEqual(wanted);
    expect((await c.reconcile({})).applied).toEqual([]);
    await c.query(`REVOKE pg_monitor FROM neon_superuser CASCADE; REVOKE pg_read_all_data FROM neon_superuser;
      ALTER ROLE neon_superuser NOCREATEDB;
      REVOKE EXECUTE ON FUNCTION pg_show_replication_origin_status() FROM neon_superuser`);
    await c.reconcile({});
    expect(await membershipsOf(c, "neon_superuser")).toEqual(wanted);
    expect(await role(c, "neon_superuser")).toMatchObject({ rolcreatedb: true });
    expect((await c.reconcile({})).applied).toEqual([]);
  });

  test("reconcile.md case 4: every connection says what it is for", async () => {
    const c = cluster();
    await c.query("ALTER SYSTEM SET log_connections = on");
    await c.query("SELECT pg_reload_conf()");
    const from = c.server.log.length;
    await c.reconcile({ roles: [{ name: "appname" }], databases: [{ name: "appname", owner: "appname" }] });
    await runMigrations({
      connect: c.connect,
      systemDatabase: "postgres",
      privilegedRole: "neon_superuser",
      log: c.logger,
    });
    await c.query("ALTER SYSTEM RESET log_connections");
    await c.query("SELECT pg_reload_conf()");
    const names = c.server.log
      .slice(from)
      .map((record) => /connection authorized: .*application_name=(\S+)/.exec(record)?.[1])
      .filter((name) => name !== undefined && name !== "test");
    expect(new Set(names)).toEqual(new Set(["compute_ctl:apply_config", "compute_ctl:migrations"]));
  });

  test("reconcile.md case 5, reconcile.md case 6: a role of the spec gets everything, one that only local_proxy hands out gets nothing", async () => {
    const c = cluster();
    await c.reconcile({ roles: [{ name: "member" }, { name: "plain" }], jwksRoles: ["plain", "not_in_spec"] });
    expect(await role(c, "member")).toMatchObject({
      rolcanlogin: true,
      rolinherit: true,
      rolcreaterole: true,
      rolcreatedb: true,
      rolbypassrls: true,
      rolreplication: true,
      rolsuper: false,
      rolpassword: null,
    });
    expect(await membershipsOf(c, "member")).toEqual(["neon_superuser"]);
    expect(await role(c, "plain")).toMatchObject({
      rolcanlogin: true,
      rolcreaterole: false,
      rolcreatedb: false,
      rolbypassrls: false,
      rolreplication: false,
      rolsuper: false,
    });
    expect(await membershipsOf(c, "plain")).toEqual([]);
  });

  test("reconcile.md case 7, reconcile.md case 8: equal passwords are not written again, however they are spelled", async () => {
    const c = cluster();
    const roles = [
      { name: "scram", encrypted_password: SCRAM },
      { name: "hex", encrypted_password: HEX },
      { name: "prefixed", encrypted_password: `md5${HEX}` },
      { name: "malformed", encrypted_password: "UPPER" },
    ];
    await c.reconcile({ roles });
    const before = await Promise.all(roles.map(({ name }) => role(c, name)));
    expect(before.map((row) => row?.rolpassword).slice(0, 3)).toEqual([SCRAM, `md5${HEX}`, `md5${HEX}`]);
    expect((await c.reconcile({ roles })).applied).toEqual([]);
    expect(await Promise.all(roles.map(({ name }) => role(c, name)))).toEqual(before);
  });

  test("reconcile.md case 9, reconcile.md case 10: a changed password changes the password and LOGIN, null removes it", async () => {
    const c = cluster();
    await c.query("CREATE ROLE bysql NOLOGIN PASSWORD 'x'");
    await c.reconcile({ roles: [{ name: "bysql", encrypted_password: HEX }] });
    expect(await role(c, "bysql")).toMatchObject({ rolpassword: `md5${HEX}`, rolcanlogin: true, rolcreaterole: false });
    expect(await membershipsOf(c, "bysql")).toEqual([]);
    await c.reconcile({ roles: [{ name: "bysql" }] });
    expect(await role(c, "bysql")).toMatchObject({ rolpassword: null });
  });

  test("reconcile.md case 11: the administrator in the spec gets his password and stays what he is", async () => {
    const c = cluster();
    await c.reconcile({ roles: [{ name: "cloud_admin", encrypted_password: HEX }] });
    expect(await role(c, "cloud_admin")).toMatchObject({ rolpassword: `md5${HEX}`, rolsuper: true });
  });

  test("reconcile.md case 12: options count when the role is written, not by themselves", async () => {
    const c = cluster();
    const limit = (value: string) => [{ name: "CONNECTION LIMIT", value, vartype: "integer" }];
    await c.reconcile({ roles: [{ name: "limited", options: limit("5") }] });
    expect((await role(c, "limited"))?.rolconnlimit).toBe(5);
    await c.reconcile({ roles: [{ name: "limited", options: limit("7") }] });
    expect((await role(c, "limited"))?.rolconnlimit).toBe(5);
    await c.reconcile({ roles: [{ name: "limited", encrypted_password: HEX, options: limit("7") }] });
    expect((await role(c, "limited"))?.rolconnlimit).toBe(7);
  });

  test("reconcile.md case 13: a password is data", async () => {
    const c = cluster();
    const passwords = [
      "' SUPERUSER; CREATE ROLE injected; --",
      "\\' SUPERUSER --",
      "$x$",
      "SCRAM-SHA-256' SUPERUSER --",
    ];
    await c.reconcile({ roles: passwords.map((password, i) => ({ name: `inj${i}`, encrypted_password: password })) });
    for (const i of passwords.keys()) expect(await role(c, `inj${i}`)).toMatchObject({ rolsuper: false });
    expect(await role(c, "injected")).toBeUndefined();
  });

  test("reconcile.md case 15: names beyond 63 bytes are refused before anything happens, 63 bytes of any alphabet work", async () => {
    const c = cluster();
    const fits = `${"ü".repeat(31)}x`;
    const failures = await c.failures({ roles: [{ name: "innocent" }, { name: "ü".repeat(32) }] });
    expect(failures.map(({ phase, code }) => [phase, code])).toEqual([["Plan", "42622"]]);
    expect(await role(c, "innocent")).toBeUndefined();
    await c.reconcile({ roles: [{ name: fits }], databases: [{ name: fits, owner: fits }] });
    expect((await c.reconcile({ roles: [{ name: fits }], databases: [{ name: fits, owner: fits }] })).applied).toEqual(
      [],
    );
  });

  test("reconcile.md case 32, reconcile.md case 33: a rename keeps the role and gives it the spec's password", async () => {
    const c = cluster();
    await c.reconcile({ roles: [{ name: "before", encrypted_password: HEX }] });
    const oid = (await role(c, "before"))?.oid;
    const spec = {
      roles: [{ name: "after", encrypted_password: HEX }],
      operations: [{ action: "rename_role", name: "before", new_name: "after" }],
    };
    await c.reconcile(spec);
    expect(await role(c, "after")).toMatchObject({ oid, rolpassword: `md5${HEX}` });
    expect(await role(c, "before")).toBeUndefined();
    expect((await c.reconcile(spec)).applied).toEqual([]);
    const failures = await c.failures({ operations: [{ action: "rename_role", name: "after" }] });
    expect(failures[0]).toMatchObject({ phase: "Plan", object: { kind: "role", name: "after" }, code: "invalid_spec" });
    await c.reconcile({ roles: [{ name: "other" }] });
    const both = await c.failures({ operations: [{ action: "rename_role", name: "after", new_name: "other" }] });
    expect(both[0]?.message).toContain("rename_role");
  });

  test("a deleted role makes room for a renamed one, and a repeated run does not take that one away", async () => {
    const c = cluster();
    await c.reconcile({ roles: [{ name: "new_holder" }, { name: "held" }] });
    const oid = (await role(c, "new_holder"))?.oid;
    const spec = {
      roles: [{ name: "held" }],
      operations: [
        { action: "delete_role", name: "held" },
        { action: "rename_role", name: "new_holder", new_name: "held" },
      ],
    };
    await c.reconcile(spec);
    expect((await role(c, "held"))?.oid).toBe(oid);
    expect((await c.reconcile(spec)).applied).toEqual([]);
    expect((await role(c, "held"))?.oid).toBe(oid);
  });

  test("reconcile.md case 61: another name for the privileged role", async () => {
    const c = cluster();
    const context = { privilegedRole: "my_superuser" };
    await c.reconcile({ roles: [{ name: "mine" }], databases: [{ name: "mine", owner: "mine" }] }, { context });
    expect(await role(c, "my_superuser")).toMatchObject({
      rolcanlogin: false,
      rolbypassrls: true,
      rolreplication: true,
    });
    expect(await membershipsOf(c, "mine")).toEqual(["my_superuser"]);
    expect(await membershipsOf(c, "my_superuser")).toContain("pg_monitor admin");
    expect(
      (await c.reconcile({ roles: [{ name: "mine" }], databases: [{ name: "mine", owner: "mine" }] }, { context }))
        .applied,
    ).toEqual([]);
  });

  test("reconcile.md case 65: one bad role does not keep the others from being made, and is what the run reports", async () => {
    const c = cluster();
    const roles = [{ name: "pg_bad" }, { name: "good65" }];
    const failures = await c.failures({ roles, databases: [{ name: "never65", owner: "good65" }] });
    expect(failures).toHaveLength(1);
    expect(failures[0]).toMatchObject({
      object: { kind: "role", name: "pg_bad" },
      code: "42939",
      phase: "CreateAndAlterRoles",
    });
    expect(failures[0]?.statement).toContain("pg_bad");
    expect(await role(c, "good65")).toBeDefined();
    expect(await c.query("SELECT FROM pg_database WHERE datname = 'never65'")).toEqual([]);
    const collected = await c.reconcile(
      { roles, databases: [{ name: "also65", owner: "good65" }] },
      { objectFailures: "collect" },
    );
    expect(collected.failures.map(({ code }) => code)).toEqual(["42939"]);
    expect(await c.query("SELECT FROM pg_database WHERE datname = 'also65'")).toHaveLength(1);
  });

  test("passwords are in no failure", async () => {
    const c = cluster();
    const failures = await c.failures({ roles: [{ name: "pg_secret", encrypted_password: SCRAM }] });
    expect(JSON.stringify(failures)).not.toContain("SCRAM-SHA");
    expect(c.log.join("")).not.toContain("SCRAM-SHA");
  });

  test("a role that somebody creates under our eyes is no failure", async () => {
    const c = cluster();
    let raced = false;
    const connect: typeof c.connect = async (database, name) => {
      const session = await c.connect(database, name);
      return {
        ...session,
        pipeline: async (messages) => {
          if (!raced && messages.some((message) => message.includes('"raced"'))) {
            raced = true;
            await c.query("CREATE ROLE raced");
          }
          return await session.pipeline(messages);
        },
      };
    };
    const roles = [{ name: "raced", encrypted_password: SCRAM }];
    await c.reconcile({ roles }, { connect });
    expect(raced).toBe(true);
    expect(await role(c, "raced")).toMatchObject({ rolpassword: SCRAM, rolcanlogin: true });
  });

  test("a plan changes nothing and says what a run would do", async () => {
    const c = cluster();
    const parts = {
      roles: [{ name: "planned", encrypted_password: SCRAM }],
      databases: [{ name: "planned", owner: "planned" }],
    };
    const desired = desiredState(specOf(parts), {
      systemDatabase: "postgres",
      privilegedRole: "neon_superuser",
      neonServer: false,
    });
    const lsn = await c.value("SELECT pg_current_wal_insert_lsn()::text");
    const { actions } = await makePlan({ desired, connect: c.connect });
    expect(await c.value("SELECT pg_current_wal_insert_lsn()::text")).toBe(lsn);
    expect(planText(actions)).toBe(planText((await c.reconcile(parts)).applied));
  });

  test("what the catalogs say is what is read back", async () => {
    const c = cluster();
    const session = await c.connect("postgres", "test");
    const read = await readDbsAndRoles(session);
    await session.end();
    expect(read.roles.map(({ name }) => name)).toEqual(expect.arrayContaining(["cloud_admin", "pg_monitor", "member"]));
    expect(read.databases.find(({ name }) => name === "template0")).toEqual({
      name: "template0",
      owner: "cloud_admin",
      options: null,
      restrict_conn: true,
      invalid: false,
    });
  });
});
