import { expect, test } from "vitest";
import { migrationFailpoint, readMigrationId, runMigrations } from "../../src/reconcile/migrations/run_migrations.ts";
import { installation, startServer } from "../support/postgres.ts";
import { Cluster, onEachMajor } from "./cluster.ts";

const ROLE = "neon_superuser";
const LAST = 12;

async function migrate(c: Cluster, failAt?: number): Promise<number[]> {
  const failed: number[] = [];
  await runMigrations({
    connect: c.connect,
    systemDatabase: "postgres",
    privilegedRole: ROLE,
    log: c.logger,
    onFailed: (id) => failed.push(id),
    ...(failAt === undefined ? {} : { failAt }),
  });
  return failed;
}

onEachMajor("migrations", (cluster, major) => {
  test("reconcile.md case 58, reconcile.md case 60: each migration can fail, is counted, and is the one that the next run begins with", async () => {
    const c = cluster();
    await c.reconcile({ roles: [{ name: "existing" }] });
    await c.query(
      "CREATE ROLE stranger BYPASSRLS NOINHERIT; CREATE ROLE insider NOINHERIT; GRANT neon_superuser TO insider",
    );
    const has = async (sql: string): Promise<boolean> => await c.value(sql);
    const member = (role: string, admin = false) =>
      has(
        `SELECT EXISTS (SELECT FROM pg_auth_members WHERE member = '${ROLE}'::regrole AND roleid = '${role}'::regrole AND (admin_option OR NOT ${admin}))`,
      );
    /** What a migration has to have done, and what must not be there while it has failed; contract: reconcile.md 9. */
    const checks: Record<number, () => Promise<boolean>> = {
      1: () => has(`SELECT rolbypassrls FROM pg_roles WHERE rolname = '${ROLE}'`),
      2: () =>
        has(
          `SELECT (SELECT NOT rolbypassrls AND NOT rolinherit FROM pg_roles WHERE rolname = 'stranger')
             AND (SELECT bool_and(rolinherit) FROM pg_roles WHERE rolname IN ('insider', 'existing', '${ROLE}', 'cloud_admin'))`,
        ),
      ...(major >= 16 ? { 3: () => member("pg_create_subscription") } : {}),
      4: () => member("pg_monitor", true),
      10: () =>
        major >= 16
          ? has(
              `SELECT has_function_privilege('${ROLE}', 'pg_export_snapshot()', 'EXECUTE') AND has_function_privilege('${ROLE}', 'pg_log_standby_snapshot()', 'EXECUTE')`,
            )
          : Promise.resolve(true),
      11: () => has(`SELECT has_function_privilege('${ROLE}', 'pg_show_replication_origin_status()', 'EXECUTE')`),
      12: () => member("pg_signal_backend", true),
    };
    await c.query("ALTER ROLE neon_superuser NOBYPASSRLS");
    for (let id = 1; id <= LAST; id++) {
      expect(await migrate(c, id)).toEqual([id]);
      expect(await readMigrationId(c.connect, "postgres")).toBe(id - 1);
      // Rolled back; 10 grants what PUBLIC may do anyway on the older versions.
      const check = checks[id];
      if (check && id !== 10) expect(await check()).toBe(false);
      // Alone, by letting the next one fail.
      if (id < LAST) await migrate(c, id + 1);
      else await migrate(c);
      if (check) expect(await check()).toBe(true);
    }
    expect(await readMigrationId(c.connect, "postgres")).toBe(LAST);
    expect(c.log.join("")).toMatch(
      /Running migration id=1:[\s\S]*Finished migration id=1[\s\S]*Skipping migration id=5\n[\s\S]*Finished migration id=12/,
    );
    expect(c.log.join("")).toContain("Failed to run migration id=3: ");
  });

  test("reconcile.md case 57: the table is what the original makes, and nobody else's", async () => {
    const c = cluster();
    expect(await c.query("SELECT key, id::int FROM neon_migration.migration_id")).toEqual([{ key: 0, id: LAST }]);
    expect(
      await c.value(
        "SELECT string_agg(format('%s %s %s %s', column_name, data_type, is_nullable, column_default), ', ' ORDER BY ordinal_position) FROM information_schema.columns WHERE table_name = 'migration_id'",
      ),
    ).toBe("key integer NO , id bigint NO 0");
    await c.query("CREATE ROLE outsider");
    expect(await c.value("SELECT has_schema_privilege('outsider', 'neon_migration', 'USAGE')")).toBe(false);
    expect(await c.value("SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'neon_migration'")).toBe(
      "cloud_admin",
    );
    const before = c.log.length;
    expect(await migrate(c)).toEqual([]);
    expect(c.log.slice(before).filter((line) => line.includes("igration id="))).toEqual([]);
  });

  test("reconcile.md case 59: a newer original was here", async () => {
    const c = cluster();
    await c.query("UPDATE neon_migration.migration_id SET id = 99");
    expect(await migrate(c)).toEqual([]);
    expect(await readMigrationId(c.connect, "postgres")).toBe(99);
    await c.query("UPDATE neon_migration.migration_id SET id = 12");
  });
});

test("a server that is gone is logged, not thrown", async () => {
  const server = await startServer({ installation: installation(17) });
  const c = new Cluster(server);
  await server[Symbol.asyncDispose]();
  await migrate(c);
  expect(c.log.join("")).toContain("Failed to connect to the compute for running migrations: ");
});

test("the failpoint's spelling", () => {
  expect(migrationFailpoint("compute-migration=return(7)")).toBe(7);
  expect(migrationFailpoint("other=panic;compute-migration=return(12)")).toBe(12);
  expect(migrationFailpoint("compute-migration=panic")).toBeUndefined();
  expect(migrationFailpoint(undefined)).toBeUndefined();
});
