import { describe, expect, test } from "vitest";
import { lastAssignment } from "../../src/pgdata/conf_line.ts";
import { type PostgresqlConfInput, renderPostgresqlConf } from "../../src/pgdata/postgresql_conf.ts";
import { parseLsn } from "../../src/wire/lsn.ts";
import { BARE, FULL, golden, NEON, raw, stock, text } from "./conf_inputs.ts";

function render(changes: Partial<PostgresqlConfInput>, strategy = NEON): string {
  return renderPostgresqlConf({ ...BARE, ...changes }, strategy).text;
}

describe("postgresql.conf", () => {
  test("postgres-config.md case 1: the full example, with the include as the last line", async () => {
    const { text: conf, warnings } = renderPostgresqlConf(FULL, NEON);
    expect(conf).toBe(await golden("full_neon"));
    expect(conf.trimEnd().split("\n").at(-1)).toBe("include_if_exists = 'compute_ctl_temp_override.conf'");
    expect(warnings).toEqual([]);
  });

  test("every row at once, in order", async () => {
    const conf = render({
      ...FULL,
      mode: { kind: "static", lsn: parseLsn("0/169ad58") },
      fileBackedSharedMemory: true,
      hasCUtf8Locale: false,
      auditLogLevel: "Extended",
      disableSubscribers: true,
      exportsLogs: true,
      lakebase: { port: 5433, databricks: { caFile: "/etc/it's/ca.crt", workspaceHost: "w.example" } },
    });
    expect(conf).toBe(await golden("every_row"));
  });

  test("nothing but what is always there", async () => {
    expect(render({})).toBe(await golden("bare"));
  });

  test("postgres-config.md case 4: a setting without a value is refused by name", () => {
    expect(() => render({ settings: [text("work_mem", null)] })).toThrow(
      expect.objectContaining({
        code: "invalid_setting",
        status: 400,
        message: expect.stringContaining("setting work_mem has no value"),
      }),
    );
  });

  test("postgres-config.md case 5: an empty list is an empty block, null is none", () => {
    expect(render({ settings: [] })).toContain("# Managed by compute_ctl: begin\n\n# Managed by compute_ctl: end\n");
    expect(render({ settings: null })).not.toContain("Managed");
  });

  test("postgres-config.md case 6: the stripe size stands once, before the connection string", () => {
    const names = render(FULL)
      .split("\n")
      .map((line) => line.split("=")[0])
      .filter((name) => name === "neon.stripe_size" || name === "neon.pageserver_connstring");
    expect(names).toEqual(["neon.stripe_size", "neon.pageserver_connstring"]);
  });

  test("postgres-config.md case 7: without a libpq URL for every shard there is no connection string", () => {
    const conf = render({ pageservers: { connstring: null } });
    expect(lastAssignment(conf, "neon.pageserver_connstring")).toBeUndefined();
    expect(conf).toContain("# no neon.pageserver_connstring");
  });

  test("postgres-config.md case 8: static", () => {
    const conf = render({ mode: { kind: "static", lsn: parseLsn("0/169ad58") } });
    expect(conf).toContain("neon.compute_mode=static\nhot_standby=on\nrecovery_target_lsn='0/169AD58'\n");
    const replica = render({ mode: { kind: "replica" } });
    expect(replica).toContain("neon.compute_mode=replica\nhot_standby=on\n");
    expect(replica).not.toContain("recovery_target_lsn");
  });

  test("postgres-config.md case 9: settings beat generated lines, but not the extension port", () => {
    const conf = render({
      settings: [text("neon.compute_mode", "replica"), raw("neon.extension_server_port", "1")],
    });
    expect(lastAssignment(conf, "neon.compute_mode")).toBe("replica");
    expect(lastAssignment(conf, "neon.extension_server_port")).toBe("3081");
  });

  test("postgres-config.md case 10: settings beat postgresql_conf", () => {
    const conf = render({ postgresqlConf: "work_mem=5MB", settings: [raw("work_mem", "6MB")] });
    expect(lastAssignment(conf, "work_mem")).toBe("6MB");
  });

  test("postgres-config.md case 11: shared memory in files, unless a setting says otherwise", () => {
    expect(lastAssignment(render({ fileBackedSharedMemory: true }), "dynamic_shared_memory_type")).toBe("mmap");
    expect(
      lastAssignment(
        render({ fileBackedSharedMemory: true, settings: [raw("dynamic_shared_memory_type", "posix")] }),
        "dynamic_shared_memory_type",
      ),
    ).toBe("posix");
  });

  test("postgres-config.md case 12: base audit", () => {
    const conf = render({ auditLogLevel: "Base", settings: [text("shared_preload_libraries", "neon,foo")] });
    expect(conf).toContain("\nshared_preload_libraries='neon,foo,pgaudit'\n");
    expect(lastAssignment(conf, "shared_preload_libraries")).toBe("neon,foo,pgaudit");
    expect(lastAssignment(conf, "pgaudit.log")).toBe("ddl,role");
    expect(conf.indexOf("audit settings: start")).toBeGreaterThan(conf.indexOf("compute_ctl: end"));
    expect(render({ auditLogLevel: "Log" })).toBe(render({ auditLogLevel: "Base" }));
  });

  test("postgres-config.md case 13: full audit without libraries in settings", () => {
    const conf = render({ auditLogLevel: "Full" });
    expect(lastAssignment(conf, "shared_preload_libraries")).toBe("neon,pgaudit,pgauditlogtofile");
    expect(lastAssignment(conf, "pgaudit.log")).toBe("all");
    expect(lastAssignment(conf, "pgaudit.log_parameter")).toBe("on");
    expect(render({ auditLogLevel: "Hipaa" })).toBe(render({ auditLogLevel: "Extended" }));
  });

  test("audit extends what would be in force: raw settings, the last duplicate, postgresql_conf", () => {
    const libraries = (changes: Partial<PostgresqlConfInput>): string | undefined =>
      lastAssignment(render({ auditLogLevel: "Base", ...changes }), "shared_preload_libraries");
    expect(libraries({ settings: [raw("Shared_Preload_Libraries", "'neon,it''s'")] })).toBe("neon,it's,pgaudit");
    expect(
      libraries({ settings: [text("shared_preload_libraries", "a"), text("shared_preload_libraries", "b")] }),
    ).toBe("b,pgaudit");
    expect(libraries({ postgresqlConf: "shared_preload_libraries = neon # x\n", settings: [] })).toBe("neon,pgaudit");
    expect(libraries({ settings: [text("shared_preload_libraries", "pgauditlogtofile")] })).toBe(
      "pgauditlogtofile,pgaudit",
    );
  });

  test("postgres-config.md case 14: log export adds syslog", () => {
    expect(lastAssignment(render({ exportsLogs: true }), "log_destination")).toBe("stderr,syslog");
    expect(lastAssignment(render({}), "log_destination")).toBeUndefined();
  });
});

describe("postgresql.conf of a stock server", () => {
  test("postgres-config.md case 39: what the server has not is dropped, each with one warning", async () => {
    const { text: conf, warnings } = renderPostgresqlConf(FULL, stock("none", "pg_stat_statements"));
    expect(conf).toBe(await golden("full_stock_none"));
    expect(warnings).toEqual([
      "library neon is left out of shared_preload_libraries: this PostgreSQL has no such library",
      "setting synchronous_standby_names is left out: nothing acknowledges commits under this name here, so every commit would wait for ever",
    ]);
  });

  test("with a proposer the standby's name stays", async () => {
    const { text: conf, warnings } = renderPostgresqlConf(FULL, stock("walproposer", "pg_stat_statements"));
    expect(conf).toBe(await golden("full_stock_walproposer"));
    expect(warnings).toHaveLength(1);
  });

  test("postgresql_conf is filtered line by line, and one thing is warned of once", async () => {
    const { text: conf, warnings } = renderPostgresqlConf(
      {
        ...BARE,
        postgresqlConf: await golden("neon_local_endpoint"),
        settings: [text("shared_preload_libraries", "neon"), raw("Max_Replication_Write_Lag", "500MB")],
      },
      stock("none"),
    );
    expect(conf).toBe(await golden("neon_local_endpoint_on_stock"));
    expect(warnings).toEqual([
      "library neon is left out of shared_preload_libraries: this PostgreSQL has no such library",
      "setting max_replication_write_lag is left out: only Neon's PostgreSQL knows it",
      "setting max_replication_flush_lag is left out: only Neon's PostgreSQL knows it",
      "setting logging_collector is left out: compute_ctl collects the log from stderr",
      "setting synchronous_standby_names is left out: nothing acknowledges commits under this name here, so every commit would wait for ever",
    ]);
  });

  test("a text without objections stays byte for byte", () => {
    const odd = "a=1\r\n\n  # b\n\tlogging_collector = off\nwhat is this\nsynchronous_standby_names='s1'";
    expect(render({ postgresqlConf: odd }, stock("none")).startsWith(`${odd}\n`)).toBe(true);
  });

  test("audit libraries that the server has not are dropped as well", () => {
    const { text: conf, warnings } = renderPostgresqlConf({ ...BARE, auditLogLevel: "Full" }, stock("none", "pgaudit"));
    expect(lastAssignment(conf, "shared_preload_libraries")).toBe("pgaudit");
    expect(warnings).toHaveLength(1);
  });
});

describe("what waits for Neon's storage only", () => {
  test.each([
    "walproposer",
    '"walproposer"',
    "pageserver",
    "ANY 1 (walproposer)",
    "first 2 (walproposer, PageServer)",
    "1 (walproposer)",
  ])("%s", (value) => {
    expect(stock("none").judge("synchronous_standby_names", value).action).toBe("leave_out");
    expect(stock("walproposer").judge("synchronous_standby_names", value).action).toBe("keep");
    expect(NEON.judge("synchronous_standby_names", value).action).toBe("keep");
  });

  test.each(["", "*", "s1", "walproposer, s1"])("not %j", (value) => {
    expect(stock("none").judge("synchronous_standby_names", value).action).toBe("keep");
  });
});
