import { describe, expect, test } from "vitest";
import { type ConfSurroundings, confInput } from "../../src/pgdata/conf_input.ts";
import { renderPostgresqlConf } from "../../src/pgdata/postgresql_conf.ts";
import { resolveSpec } from "../../src/spec/resolve.ts";
import { computeSpecSchema } from "../../src/spec/schema.ts";
import { minimalSpec, oldestSpec } from "../spec/examples.ts";
import { BARE, FULL, golden, NEON } from "./conf_inputs.ts";

const SURROUNDINGS: ConfSurroundings = {
  hasTlsPaths: true,
  hasCUtf8Locale: true,
  fileBackedSharedMemory: false,
  privilegedRoleName: "neon_superuser",
  internalHttpPort: 3081,
  disableSubscribers: false,
  lakebasePort: null,
};

function inputOf(json: unknown, changes: Partial<ConfSurroundings> = {}): ReturnType<typeof confInput> {
  return confInput(resolveSpec(computeSpecSchema.parse(json)), { ...SURROUNDINGS, ...changes });
}

/** The fields of the contract's full example that the file depends on (contract: spec.md 11). */
const FULL_SPEC = minimalSpec({
  features: ["activity_monitor_experimental", "tls_experimental", "a_flag_from_the_future"],
  cluster: {
    roles: [],
    databases: [],
    postgresql_conf: "shared_buffers=128MB\nport=5432",
    settings: [
      { name: "shared_preload_libraries", value: "neon,pg_stat_statements", vartype: "string" },
      { name: "max_connections", value: "112", vartype: "integer" },
      { name: "synchronous_standby_names", value: "walproposer", vartype: "string" },
      { name: "log_line_prefix", value: "%m [%p] it's ", vartype: "string" },
    ],
  },
  pageserver_connection_info: {
    shard_count: 2,
    stripe_size: 2048,
    shards: {
      "0002": { pageservers: [{ id: 11, libpq_url: "postgresql://no_user@ps-1:6400" }] },
      "0102": { pageservers: [{ id: 12, libpq_url: "postgresql://no_user@ps-2:6400" }] },
    },
  },
  project_id: "amber-field-100200",
  branch_id: "br-main",
  endpoint_id: "ep-amber-1",
  safekeepers_generation: 3,
});

describe("from a spec", () => {
  test("postgres-config.md case 1, postgres-config.md case 6: the full example", async () => {
    const input = inputOf(FULL_SPEC);
    expect(input).toEqual(FULL);
    expect(renderPostgresqlConf(input, NEON).text).toBe(await golden("full_neon"));
  });

  test("the oldest form: settings carry the storage, nothing of it is derived", () => {
    const input = inputOf(oldestSpec());
    expect(input).toEqual({ ...BARE, settings: input.settings });
    expect(input.settings).toHaveLength(5);
  });

  test("postgres-config.md case 7: one shard without a libpq URL", () => {
    const shards = {
      "0002": { pageservers: [{ libpq_url: "postgresql://a" }] },
      "0102": { pageservers: [{ grpc_url: "grpc://b" }] },
    };
    const json = minimalSpec({ pageserver_connection_info: { shard_count: 2, stripe_size: 8, shards } });
    expect(inputOf(json)).toMatchObject({ pageservers: { connstring: null }, stripeSize: 8 });
  });

  test("postgres-config.md case 31: TLS needs paths and the feature", () => {
    expect(inputOf(FULL_SPEC, { hasTlsPaths: false }).tls).toBe(false);
    expect(inputOf(minimalSpec()).tls).toBe(false);
  });

  test("postgres-config.md case 8: static; log export; lakebase", () => {
    const databricks_settings = {
      pg_compute_tls_settings: { cert_file: "/c", key_file: "/k", ca_file: "/ca" },
      databricks_pg_hba: "/hba",
      databricks_pg_ident: "/ident",
      databricks_workspace_host: "w",
    };
    const json = minimalSpec({ mode: { Static: "0/169ad58" }, logs_export_host: "c:514", databricks_settings });
    expect(inputOf(json)).toMatchObject({
      mode: { kind: "static", lsn: 0x169ad58n },
      exportsLogs: true,
      lakebase: null,
    });
    expect(inputOf(json, { lakebasePort: 5432 }).lakebase).toEqual({
      port: 5432,
      databricks: { caFile: "/ca", workspaceHost: "w" },
    });
  });
});
