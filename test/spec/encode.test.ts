import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeComputeConfig, decodeComputeSpec } from "../../src/spec/decode.ts";
import { encodeComputeSpec, encodeLocalProxyConfig, formatComputeConfig } from "../../src/spec/encode.ts";
import type { ComputeConfig } from "../../src/spec/schema.ts";
import { formatLsn } from "../../src/wire/lsn.ts";
import { configText, minimalSpec, TENANT } from "./examples.ts";

const written = (changes: Record<string, unknown> = {}) =>
  encodeComputeSpec(decodeComputeSpec(JSON.stringify(minimalSpec(changes))));

describe("encodeComputeSpec", () => {
  test("writes every field, in the order of neon_local's config.json", () => {
    expect(Object.keys(written())).toEqual(
      (
        "format_version operation_uuid features swap_size_bytes disk_quota_bytes disable_lfc_resizing cluster " +
        "delta_operations skip_pg_catalog_updates tenant_id timeline_id pageserver_connection_info " +
        "pageserver_connstring shard_stripe_size project_id branch_id endpoint_id safekeepers_generation " +
        "safekeeper_connstrings mode storage_auth_token remote_extensions pgbouncer_settings local_proxy_config " +
        "reconfigure_concurrency drop_subscriptions_before_start audit_log_level logs_export_host " +
        "endpoint_storage_addr endpoint_storage_token autoprewarm offload_lfc_interval_seconds " +
        "suspend_timeout_seconds databricks_settings"
      ).split(" "),
    );
    expect(Object.keys(written().cluster)).toEqual(
      "cluster_id name state roles databases postgresql_conf settings".split(" "),
    );
  });

  test("absent fields are null, lists empty, derived fields of databases false", () => {
    const spec = written({
      tenant_id: TENANT.toUpperCase(),
      cluster: { roles: [{ name: "r" }], databases: [{ name: "d", owner: "r", restrict_conn: true }] },
    });
    expect(spec.cluster.roles).toEqual([{ name: "r", encrypted_password: null, options: null }]);
    expect(spec.cluster.databases).toEqual([
      { name: "d", owner: "r", options: null, restrict_conn: false, invalid: false },
    ]);
    expect(spec).toMatchObject({ features: [], delta_operations: null, tenant_id: TENANT, local_proxy_config: null });
  });

  test("only local_proxy's members are left out when they are null", () => {
    expect(written({ local_proxy_config: {} }).local_proxy_config).toEqual({});
    expect(encodeLocalProxyConfig({ jwks: [], tls: null })).toEqual({ jwks: [] });
    expect(encodeLocalProxyConfig({ jwks: null, tls: { key_path: "k", cert_path: "c" } })).toEqual({
      tls: { key_path: "k", cert_path: "c" },
    });
  });
});

const maybe = <T>(inner: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(inner, { nil: null });
const text = maybe(fc.string());
const uint = (max: number) => fc.integer({ min: 0, max });
const id = maybe(fc.stringMatching(/^[0-9a-f]{32}$/));
// Not a setter of prototypes: it is skipped when reading.
const key = fc.string({ unit: "grapheme" }).filter((name) => name !== "__proto__");
const options = maybe(
  fc.array(fc.record({ name: fc.string(), value: text, vartype: fc.string() }, { noNullPrototype: true })),
);
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record<T>(model, { noNullPrototype: true });
const tls = maybe(record({ key_path: fc.string(), cert_path: fc.string() }));

const config: fc.Arbitrary<ComputeConfig> = record({
  spec: maybe(
    record({
      format_version: fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0),
      operation_uuid: text,
      features: fc.array(fc.string()),
      swap_size_bytes: maybe(uint(Number.MAX_SAFE_INTEGER)),
      disk_quota_bytes: maybe(uint(Number.MAX_SAFE_INTEGER)),
      disable_lfc_resizing: maybe(fc.boolean()),
      cluster: record({
        cluster_id: text,
        name: text,
        state: text,
        roles: fc.array(record({ name: fc.string(), encrypted_password: text, options })),
        databases: fc.array(record({ name: fc.string(), owner: fc.string(), options })),
        postgresql_conf: text,
        settings: options,
      }),
      delta_operations: maybe(fc.array(record({ action: fc.string(), name: fc.string(), new_name: text }))),
      skip_pg_catalog_updates: fc.boolean(),
      tenant_id: id,
      timeline_id: id,
      pageserver_connection_info: maybe(
        record({
          shard_count: uint(255),
          stripe_size: maybe(uint(4_294_967_295)),
          shards: fc.dictionary(
            fc.stringMatching(/^[0-9a-f]{4}$/),
            record({
              pageservers: fc.array(
                record({ id: maybe(uint(Number.MAX_SAFE_INTEGER)), libpq_url: text, grpc_url: text }),
              ),
            }),
          ),
          prefer_protocol: fc.constantFrom("libpq" as const, "grpc" as const),
        }),
      ),
      pageserver_connstring: text,
      shard_stripe_size: maybe(uint(4_294_967_295)),
      project_id: text,
      branch_id: text,
      endpoint_id: text,
      safekeepers_generation: maybe(uint(4_294_967_295)),
      safekeeper_connstrings: fc.array(fc.string()),
      mode: fc.oneof(
        fc.constant({ kind: "primary" as const }),
        fc.constant({ kind: "replica" as const }),
        record({ kind: fc.constant("static" as const), lsn: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) }),
      ),
      storage_auth_token: text,
      remote_extensions: maybe(
        record({
          public_extensions: maybe(fc.array(fc.string())),
          custom_extensions: maybe(fc.array(fc.string())),
          library_index: fc.dictionary(key, fc.string()),
          extension_data: fc.dictionary(
            key,
            record({ control_data: fc.dictionary(key, fc.string()), archive_path: fc.string() }),
          ),
        }),
      ),
      pgbouncer_settings: maybe(fc.dictionary(key, fc.string())),
      local_proxy_config: maybe(
        record({
          jwks: maybe(
            fc.array(
              record({
                id: fc.string(),
                role_names: fc.array(fc.string()),
                jwks_url: fc.string(),
                provider_name: fc.string(),
                jwt_audience: text,
              }),
            ),
          ),
          tls,
        }),
      ),
      reconfigure_concurrency: uint(1000),
      drop_subscriptions_before_start: fc.boolean(),
      audit_log_level: fc.constantFrom("Disabled", "Base", "Extended", "Full", "Log", "Hipaa"),
      logs_export_host: text,
      endpoint_storage_addr: text,
      endpoint_storage_token: text,
      autoprewarm: fc.boolean(),
      offload_lfc_interval_seconds: maybe(fc.integer({ min: 1 })),
      suspend_timeout_seconds: fc.integer(),
      databricks_settings: fc.constant(null),
    }),
  ),
  compute_ctl_config: record({
    jwks: record({ keys: fc.array(fc.dictionary(key, fc.oneof(fc.string(), fc.array(fc.string())))) }),
    tls,
  }),
});

describe("a config", () => {
  test("comes back the same after writing and reading", () => {
    fc.assert(
      fc.property(config, (value) => {
        expect(decodeComputeConfig(formatComputeConfig(value))).toEqual(value);
      }),
      { numRuns: 200 },
    );
  });

  test("is written the same after reading", () => {
    const once = formatComputeConfig(decodeComputeConfig(configText(minimalSpec({ mode: { Static: "a/0b" } }))));
    expect(formatComputeConfig(decodeComputeConfig(once))).toBe(once);
    expect(JSON.parse(once).spec.mode).toEqual({ Static: formatLsn(0xa0000000bn) });
  });
});
