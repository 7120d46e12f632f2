import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { runToEnd } from "../support/compute_ctl.ts";
import { runOn, specAt } from "../support/compute_on.ts";
import { useStore } from "../support/store.ts";

const store = useStore();

const ann = { name: "ann", encrypted_password: null, options: null };
const shop = { name: "shop", owner: "ann", options: null };

describe.concurrent("roles and databases", () => {
  test("a start brings them in line, a restart finds nothing to do, and /reconcile shows both", async () => {
    const storage = await store().timeline();
    const cluster = { roles: [ann], databases: [shop] };
    {
      await using compute = await runOn(storage, { cluster });
      expect(await compute.query("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'shop'")).toBe("ann");
      const report = (await (await compute.request("/reconcile")).json()) as {
        applied: { kind: string }[];
        failures: unknown[];
      };
      expect(report.applied.map(({ kind }) => kind)).toContain("create_database");
      expect(report.failures).toEqual([]);
      await compute.request("/terminate?mode=immediate", { method: "POST", admin: true });
      expect((await compute.exited).code).toBe(0);
    }
    await using again = await runOn(storage, { cluster });
    const report = (await (await again.request("/reconcile")).json()) as { planned: unknown[]; applied: unknown[] };
    expect([report.planned, report.applied]).toEqual([[], []]);
    expect(await again.query("SELECT count(*) FROM pg_database WHERE datname = 'shop'")).toBe("1");
  });

  test("reconcile.md case 66: one bad object does not stop the compute; it is shown, and a client that configures it is told", async () => {
    const storage = await store().timeline();
    const orphan = { name: "orphan", owner: "nobody_of_that_name", options: null };
    const cluster = { roles: [ann], databases: [orphan, shop] };
    await using compute = await runOn(storage, { cluster });
    expect(await compute.query("SELECT count(*) FROM pg_database WHERE datname = 'shop'")).toBe("1");
    const report = (await (await compute.request("/reconcile")).json()) as { failures: { object: object }[] };
    expect(report.failures.map(({ object }) => object)).toContainEqual({ kind: "database", name: "orphan" });
    expect(compute.output).toContain("orphan");
    // lifecycle.md case 19, http-api.md case 19
    const spec = specAt(compute, storage);
    const refused = await compute.configure({ ...spec, cluster: { ...(spec.cluster as object), ...cluster } });
    expect(refused.status).toBe(500);
    const { error } = (await refused.json()) as { error: string };
    expect(error).toMatch(/^compute configuration failed: .*orphan/);
    expect(await compute.status()).toMatchObject({ status: "failed", error: expect.stringContaining("orphan") });
    expect(await compute.query("SELECT 1")).toBe(1);
    // lifecycle.md case 65
    const repaired = await compute.configure({
      ...spec,
      cluster: { ...(spec.cluster as object), roles: [ann], databases: [shop] },
    });
    expect(repaired.status).toBe(200);
    expect(await compute.status()).toMatchObject({ status: "running", error: null });
  });

  test("reconcile.md case 2, spec.md case 35: skip_pg_catalog_updates runs no SQL", async () => {
    const storage = await store().timeline();
    await using compute = await runOn(storage, {
      cluster: { roles: [ann], databases: [] },
      more: { skip_pg_catalog_updates: true },
    });
    expect(await compute.query("SELECT count(*) FROM pg_roles WHERE rolname = 'ann'")).toBe("0");
    expect(await (await compute.request("/reconcile")).json()).toBeNull();
    for (const made of ["health_check", "neon_migration.migration_id", "neon.compute_ctl_state"])
      expect(await compute.query(`SELECT to_regclass('${made.includes(".") ? made : `public.${made}`}')`)).toBeNull();
    expect(await compute.query("SELECT count(*) FROM pg_roles WHERE rolname = 'neon_superuser'")).toBe("0");
  });

  test("metrics-and-logs.md case 9: a migration that fails is counted once and the compute runs", async () => {
    await using compute = await runOn(await store().timeline(), { env: { FAILPOINTS: "compute-migration=return(3)" } });
    await compute.says("Failed to run migration id=3");
    expect(await compute.metrics()).toContain('compute_ctl_db_migration_failed_total{migration_id="3"} 1');
    expect((await compute.status()).status).toBe("running");
  });

  test("compute_ctl plan says what would be done and does nothing", async () => {
    const storage = await store().timeline();
    await using compute = await runOn(storage);
    const spec = specAt(compute, storage);
    const file = join(compute.directory, "plan.json");
    const cluster = {
      ...(spec.cluster as object),
      roles: [{ ...ann, encrypted_password: "geheim" }],
      databases: [shop],
    };
    await writeFile(file, JSON.stringify({ spec: { ...spec, cluster }, compute_ctl_config: { jwks: { keys: [] } } }));
    const text = await runToEnd(["plan", "--config", file, "--connstr", compute.connstr]);
    expect([text.code, text.stdout]).toEqual([0, expect.stringContaining("shop")]);
    const json = await runToEnd(["plan", "--config", file, "--connstr", compute.connstr, "--json"]);
    const { actions } = JSON.parse(json.stdout) as { actions: { kind: string }[] };
    expect(actions.map(({ kind }) => kind)).toContain("create_role");
    expect(text.stdout + json.stdout).not.toContain("geheim");
    expect(await compute.query("SELECT count(*) FROM pg_roles WHERE rolname = 'ann'")).toBe("0");
    expect((await runToEnd(["plan", "--config", "/nonexistent", "--connstr", compute.connstr])).code).toBe(1);
  });
});
