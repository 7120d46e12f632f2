import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { runOn, specAt } from "../support/compute_on.ts";
import { installation } from "../support/postgres.ts";
import { useStore } from "../support/store.ts";
import { until } from "../support/until.ts";

const store = useStore();

describe.concurrent("what a spec says reaches Postgres", () => {
  test("postgres-config.md case 3: values with a newline, quotes, backslashes and other letters", async () => {
    const settings = {
      "test.newline": "one\ntwo",
      "test.quotes": `a'b\\c"d`,
      "test.letters": "grüße 😀",
      "test.empty": "",
      "test.include": "x'\ninclude '/etc/passwd'\n#",
    };
    await using compute = await runOn(await store().timeline(), { settings });
    for (const [name, value] of Object.entries(settings)) expect(await compute.query(`SHOW ${name}`)).toBe(value);
  });

  test("postgres-config.md case 9, postgres-config.md case 10: settings beat what is derived and postgresql_conf, but not the extension server's port", async () => {
    const storage = await store().timeline();
    const settings = { "neon.compute_mode": "replica", "neon.extension_server_port": 1, work_mem: "6MB" };
    await using compute = await runOn(storage, { settings });
    expect(await compute.query("SHOW neon.compute_mode")).toBe("replica");
    expect(await compute.query("SHOW neon.extension_server_port")).toBe(String(compute.internalPort));
    const spec = specAt(compute, storage, { settings });
    const cluster = { ...(spec.cluster as object), postgresql_conf: "work_mem=5MB\nmaintenance_work_mem=77MB\n" };
    expect((await compute.configure({ ...spec, cluster })).status).toBe(200);
    await until(async () => (await compute.query("SHOW maintenance_work_mem")) === "77MB");
    expect(await compute.query("SHOW work_mem")).toBe("6MB");
  });

  test("postgres-config.md case 40: a stock server knows the neon settings by their values", async () => {
    const storage = await store().timeline();
    await using compute = await runOn(storage, { more: { endpoint_id: "ep-1", project_id: "p-1", branch_id: "br-1" } });
    for (const [name, value] of Object.entries({
      "neon.tenant_id": storage.tenantId,
      "neon.timeline_id": storage.timelineId,
      "neon.endpoint_id": "ep-1",
      "neon.project_id": "p-1",
      "neon.branch_id": "br-1",
      "neon.compute_mode": "primary",
      "neon.pageserver_connstring": storage.pageserver.libpq_url,
      "neon.safekeepers": storage.safekeepers.join(","),
    }))
      expect(await compute.query(`SHOW ${name}`)).toBe(value);
    const conf = (await readFile(join(compute.pgdata, "postgresql.conf"), "utf8")).trimEnd();
    expect(conf.split("\n").at(-1)).toMatch(/^include_if_exists\s*=?\s*'compute_ctl_temp_override\.conf'$/);
  });

  test("lifecycle.md case 44: a time zone that is ahead changes nothing about our times", async () => {
    await using compute = await runOn(await store().timeline(), { settings: { TimeZone: "Asia/Tokyo" } });
    const { start_time, last_active } = await compute.status();
    expect(new Date(start_time).getTime()).toBeLessThanOrEqual(Date.now());
    expect(last_active).toBeNull();
  });
});

describe("a stock server", () => {
  test.each([15, 18])(
    "postgres-config.md case 39: does without what only Neon's has, and says so once for each (PostgreSQL %i)",
    async (major) => {
      const settings = {
        max_replication_write_lag: "500MB",
        shared_preload_libraries: "neon,plpgsql",
        synchronous_standby_names: "walproposer",
        max_replication_flush_lag: "10GB",
      };
      const pgbin = installation(major).postgres;
      await using compute = await runOn(await store().timeline(major), { pgbin, settings });
      expect(await compute.query("SHOW shared_preload_libraries")).toBe("plpgsql");
      const session = await compute.connect({ statement_timeout: 20_000 });
      await session.query("CREATE TABLE t AS SELECT 1");
      await session.end();
      for (const dropped of ["max_replication_write_lag", "max_replication_flush_lag", "neon"])
        expect(
          compute.output.split("\n").filter((line) => line.includes(" WARN ") && line.includes(` ${dropped} `)),
        ).toHaveLength(1);
    },
  );

  test("a setting of a later major is left out with a warning, the rest is in force", async () => {
    const settings = { io_method: "sync", some_setting_of_the_future: "on", work_mem: "8MB" };
    await using compute = await runOn(await store().timeline(), { settings });
    expect(await compute.query("SHOW work_mem")).toBe("8MB");
    expect(compute.output).toMatch(/ WARN .*io_method/);
    expect(compute.output).toMatch(/ WARN .*some_setting_of_the_future/);
  });
});

test("the oldest form of a spec, everything through settings, starts", async () => {
  const storage = await store().timeline();
  await using compute = await runOn(storage, {
    settings: {
      "neon.tenant_id": storage.tenantId,
      "neon.timeline_id": storage.timelineId,
      "neon.pageserver_connstring": storage.pageserver.libpq_url ?? "",
      "neon.safekeepers": storage.safekeepers.join(","),
    },
    more: {
      tenant_id: null,
      timeline_id: null,
      pageserver_connection_info: null,
      safekeeper_connstrings: [],
    },
  });
  expect(await compute.status()).toMatchObject({ tenant: storage.tenantId, timeline: storage.timelineId });
});
