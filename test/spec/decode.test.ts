import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CodedError } from "../../src/errors/coded_error.ts";
import {
  decodeComputeConfig,
  decodeComputeSpec,
  decodeConfigurationRequest,
  decodeControlPlaneResponse,
  decodePromoteRequest,
  SpecShapeError,
  SpecSyntaxError,
} from "../../src/spec/decode.ts";
import { encodeMode } from "../../src/spec/mode.ts";
import { hasFeature } from "../../src/spec/schema.ts";
import { configText, minimalSpec, TENANT, TIMELINE } from "./examples.ts";

const decodeSpec = (changes: Record<string, unknown> = {}) => decodeComputeSpec(JSON.stringify(minimalSpec(changes)));

/** The problems with a spec, as `path: message`. */
function problemsOf(changes: Record<string, unknown>): string[] {
  try {
    decodeSpec(changes);
  } catch (error) {
    if (error instanceof SpecShapeError) return error.problems.map(({ path, message }) => `${path}: ${message}`);
    throw error;
  }
  return [];
}

const withSetting = (setting: unknown) => ({ cluster: { roles: [], databases: [], settings: [setting] } });

describe("a spec", () => {
  test("spec.md case 1: the minimal modern example decodes, with its defaults", () => {
    const spec = decodeSpec();
    expect(spec.mode).toEqual({ kind: "primary" });
    expect(spec.reconfigure_concurrency).toBe(1);
    expect(spec.features).toEqual([]);
    expect(spec.audit_log_level).toBe("Disabled");
    expect(spec.pageserver_connection_info?.prefer_protocol).toBe("libpq");
    expect(spec.pageserver_connection_info?.stripe_size).toBeNull();
    expect(spec.cluster.settings).toBeNull();
    expect(spec.autoprewarm).toBe(false);
    expect(Object.values(spec)).not.toContain(undefined);
  });

  test.each([
    ["format_version", { format_version: undefined }, "format_version"],
    ["suspend_timeout_seconds", { suspend_timeout_seconds: undefined }, "suspend_timeout_seconds"],
    ["cluster", { cluster: undefined }, "cluster"],
    ["cluster.roles", { cluster: { databases: [] } }, "roles"],
    ["cluster.databases", { cluster: { roles: [] } }, "databases"],
  ])("spec.md case 2: without %s decoding fails and names the field", (path, changes, field) => {
    expect(problemsOf(changes)).toEqual([`${path}: missing field \`${field}\``]);
  });

  test("spec.md case 2: within an envelope the path begins with the spec", () => {
    const text = configText(minimalSpec({ cluster: { databases: [] } }));
    expect(() => decodeComputeConfig(text)).toThrow("spec.cluster.roles: missing field `roles`");
  });

  test.each([
    "features",
    "mode",
    "safekeeper_connstrings",
    "skip_pg_catalog_updates",
    "reconfigure_concurrency",
    "drop_subscriptions_before_start",
    "audit_log_level",
    "autoprewarm",
  ])("spec.md case 3: %s: null fails, because the field has a default and is not nullable", (field) => {
    expect(problemsOf({ [field]: null })).toHaveLength(1);
    expect(problemsOf({ [field]: undefined })).toEqual([]);
  });

  test("spec.md case 3: null for an optional field is as good as none", () => {
    expect(decodeSpec({ swap_size_bytes: null })).toEqual(decodeSpec());
    expect(decodeSpec({ cluster: { roles: [], databases: [], settings: null } })).toEqual(decodeSpec());
  });

  test.each([
    ["Replica", "Replica"],
    ["Primary", "Primary"],
    [{ Primary: null }, "Primary"],
    [{ Replica: null }, "Replica"],
    [{ Static: "0/169ad58" }, { Static: "0/169AD58" }],
    [{ Static: " 00/0000000169ad58\t" }, { Static: "0/169AD58" }],
  ])("spec.md case 4: mode %j is accepted and written as %j", (mode, written) => {
    expect(encodeMode(decodeSpec({ mode }).mode)).toEqual(written);
  });

  test.each([
    "primary",
    "Static",
    { Static: "169AD58" },
    { Static: 23699800 },
    { Static: "0/100000000" },
    { Static: null },
    { Primary: null, Replica: null },
    { Primary: 1 },
    {},
    ["Primary"],
    7,
  ])("spec.md case 5: mode %j fails", (mode) => {
    const [problem, ...others] = problemsOf({ mode });
    expect(problem).toMatch(
      /^(mode: expected "Primary", "Replica" or {"Static": "<LSN>"}|mode\.Static: not an LSN: two hexadecimal numbers .*)$/,
    );
    expect(others).toEqual([]);
  });

  test("spec.md case 6: an unknown feature is accepted beside a known one", () => {
    const spec = decodeSpec({ features: ["foo", "tls_experimental"] });
    expect(hasFeature(spec, "tls_experimental")).toBe(true);
    expect(hasFeature(spec, "activity_monitor_experimental")).toBe(false);
    expect(decodeSpec({ features: [{ tls_experimental: null }, { x: null }] }).features).toEqual([
      "tls_experimental",
      "x",
    ]);
    expect(hasFeature(decodeSpec({ features: ["TlsExperimental"] }), "tls_experimental")).toBe(false);
  });

  test.each([1, null, ["x"], {}, { x: 1 }, { x: null, y: null }])("feature %j fails", (feature) => {
    expect(problemsOf({ features: [feature] })).toEqual(["features[0]: expected the name of a feature"]);
  });

  test("spec.md case 7: unknown keys are accepted everywhere, and dropped", () => {
    const extra = { an_extra: { deep: [1] } };
    const text = JSON.stringify({
      spec: minimalSpec({
        ...extra,
        timestamp: "2025-01-01",
        cluster: { roles: [{ name: "r", ...extra }], databases: [], ...extra },
        pageserver_connection_info: {
          shard_count: 0,
          shards: { "0000": { pageservers: [{ libpq_url: "x", ...extra }], ...extra } },
          ...extra,
        },
      }),
      compute_ctl_config: { jwks: { keys: [], ...extra }, ...extra },
      ...extra,
    });
    expect(JSON.stringify(decodeComputeConfig(text))).not.toContain("an_extra");
  });

  test("spec.md case 8: a setting's value is a string or null, its vartype is required", () => {
    expect(problemsOf(withSetting({ name: "a", value: 100, vartype: "integer" }))).toEqual([
      "cluster.settings[0].value: expected a string, found a number",
    ]);
    expect(problemsOf(withSetting({ name: "a", value: "100" }))).toEqual([
      "cluster.settings[0].vartype: missing field `vartype`",
    ]);
    expect(problemsOf(withSetting({ name: "a", value: null, vartype: "integer" }))).toEqual([]);
    expect(problemsOf(withSetting({ name: "a", vartype: "integer" }))).toEqual([]);
  });

  test("spec.md case 9: restrict_conn and invalid of a database are never read", () => {
    const databases = [{ name: "d", owner: "o", restrict_conn: "zzz", invalid: 7 }];
    expect(decodeSpec({ cluster: { roles: [], databases } }).cluster.databases).toEqual([
      { name: "d", owner: "o", options: null },
    ]);
  });

  test("spec.md case 10: an offload interval of 0 fails; null or none means off", () => {
    expect(problemsOf({ offload_lfc_interval_seconds: 0 })).toEqual([
      "offload_lfc_interval_seconds: must be at least 1",
    ]);
    expect(decodeSpec({ offload_lfc_interval_seconds: null }).offload_lfc_interval_seconds).toBeNull();
    expect(decodeSpec().offload_lfc_interval_seconds).toBeNull();
  });

  test("spec.md case 11: ids are lower-case once decoded, and 32 hex digits without dashes", () => {
    expect(decodeSpec({ tenant_id: TENANT.toUpperCase() }).tenant_id).toBe(TENANT);
    expect(decodeSpec({ timeline_id: TIMELINE.toUpperCase() }).timeline_id).toBe(TIMELINE);
    const fault = "tenant_id: not an id: 32 hexadecimal digits expected";
    for (const id of ["5f0c2b7e-9d1a-4c6e-8b3f-70d2a1c4e9b6", TENANT.slice(1), ` ${TENANT}`, "", `${TENANT}\n`])
      expect(problemsOf({ tenant_id: id })).toEqual([fault]);
  });

  test("spec.md case 12: pgbouncer settings are strings, audit levels are spelled exactly", () => {
    expect(problemsOf({ pgbouncer_settings: { a: 2 } })).toEqual([
      "pgbouncer_settings.a: expected a string, found a number",
    ]);
    expect(problemsOf({ audit_log_level: "disabled" })).toHaveLength(1);
    for (const level of ["Hipaa", "Log", "Base", "Extended", "Full"])
      expect(decodeSpec({ audit_log_level: level }).audit_log_level).toBe(level);
    expect(decodeSpec({ audit_log_level: { Full: null } }).audit_log_level).toBe("Full");
  });

  test("spec.md case 13: shard keys are four hex digits and lower-case once decoded", () => {
    const info = (key: string, rest: object = {}) => ({
      pageserver_connection_info: { shard_count: 11, shards: { [key]: { pageservers: [] } }, ...rest },
    });
    expect(Object.keys(decodeSpec(info("0A0B")).pageserver_connection_info?.shards ?? {})).toEqual(["0a0b"]);
    for (const key of ["00", "zzzz", "00000", ""]) expect(problemsOf(info(key))).toHaveLength(1);
    expect(problemsOf(info("00"))).toEqual([
      "pageserver_connection_info.shards.00: not a shard index: four hexadecimal digits expected",
    ]);
    expect(problemsOf(info("0a0b", { prefer_protocol: "Grpc" }))).toEqual([
      'pageserver_connection_info.prefer_protocol: expected one of "libpq", "grpc"',
    ]);
    expect(problemsOf(info("0a0b", { prefer_protocol: null }))).toHaveLength(1);
  });

  test("integers keep to their ranges, and nothing is coerced", () => {
    expect(problemsOf({ safekeepers_generation: -1 })).toHaveLength(1);
    expect(problemsOf({ safekeepers_generation: 4_294_967_296 })).toHaveLength(1);
    expect(problemsOf({ safekeepers_generation: 4_294_967_295 })).toEqual([]);
    expect(problemsOf({ shard_stripe_size: 1.5 })).toHaveLength(1);
    expect(problemsOf({ suspend_timeout_seconds: "1" })).toHaveLength(1);
    expect(problemsOf({ autoprewarm: "true" })).toHaveLength(1);
    expect(problemsOf({ pageserver_connection_info: { shard_count: 256, shards: {} } })).toEqual([
      "pageserver_connection_info.shard_count: must be at most 255",
    ]);
    expect(problemsOf({ format_version: 1.25 })).toEqual([]);
    const tooLarge = JSON.stringify(minimalSpec()).replace('"format_version":1', '"format_version":1e999');
    expect(() => decodeComputeSpec(tooLarge)).toThrow(
      "format_version: expected a number, found a number that is too large",
    );
  });

  test("free keys that objects inherit are only there when they were sent", () => {
    const spec = decodeSpec({ pgbouncer_settings: { pool_mode: "session" } });
    expect(spec.pgbouncer_settings?.constructor).toBeUndefined();
    expect(decodeComputeSpec(JSON.stringify(minimalSpec({ pgbouncer_settings: { toString: "x" } })))).toHaveProperty(
      "pgbouncer_settings.toString",
      "x",
    );
  });
});

describe("the envelopes", () => {
  test("a config needs compute_ctl_config with a list of keys; its spec may be missing or null", () => {
    expect(decodeComputeConfig('{"compute_ctl_config":{"jwks":{"keys":[]}}}')).toEqual({
      spec: null,
      compute_ctl_config: { jwks: { keys: [] }, tls: null },
    });
    expect(decodeComputeConfig(configText(null)).spec).toBeNull();
    expect(() => decodeComputeConfig("{}")).toThrow("compute_ctl_config: missing field `compute_ctl_config`");
    expect(() => decodeComputeConfig('{"compute_ctl_config":null}')).toThrow("expected an object, found null");
    expect(() => decodeComputeConfig('{"compute_ctl_config":{}}')).toThrow(
      "compute_ctl_config.jwks: missing field `jwks`",
    );
    expect(() => decodeComputeConfig('{"compute_ctl_config":{"jwks":{}}}')).toThrow(
      "compute_ctl_config.jwks.keys: missing field `keys`",
    );
  });

  test("keys that cannot be used do not stop a start; what is no object does", () => {
    const keys = [{ kty: "OKP", crv: "Ed25519", x: "not a key", alg: "ES256K" }, { kty: "future" }, {}];
    const config = decodeComputeConfig(configText(null, { compute_ctl_config: { jwks: { keys } } }));
    expect(config.compute_ctl_config.jwks.keys).toEqual(keys);
    for (const key of ["x", null, ["kty"], 1])
      expect(() => decodeComputeConfig(configText(null, { compute_ctl_config: { jwks: { keys: [key] } } }))).toThrow(
        "compute_ctl_config.jwks.keys[0]: expected an object",
      );
  });

  test("tls needs both of its members", () => {
    const withTls = (tls: unknown) => configText(null, { compute_ctl_config: { jwks: { keys: [] }, tls } });
    expect(decodeComputeConfig(withTls({ key_path: "k", cert_path: "c" })).compute_ctl_config.tls).toEqual({
      key_path: "k",
      cert_path: "c",
    });
    expect(() => decodeComputeConfig(withTls({ key_path: "k" }))).toThrow("missing field `cert_path`");
  });

  test("a control plane's answer has one of two statuses, and doubles as a config", () => {
    const text = configText(minimalSpec(), { status: "attached" });
    expect(decodeControlPlaneResponse(text).status).toBe("attached");
    expect(decodeControlPlaneResponse(configText(null, { status: "empty" })).spec).toBeNull();
    expect(() => decodeControlPlaneResponse(configText(null, { status: "Empty" }))).toThrow(
      'status: expected one of "empty", "attached"',
    );
    expect(() => decodeControlPlaneResponse(configText(null))).toThrow("status: missing field `status`");
    expect(decodeComputeConfig(text).spec).not.toBeNull();
  });

  test("/configure needs both keys", () => {
    expect(decodeConfigurationRequest(configText(minimalSpec())).spec.mode.kind).toBe("primary");
    expect(() => decodeConfigurationRequest(configText(null))).toThrow("spec: expected an object, found null");
    try {
      decodeConfigurationRequest(JSON.stringify({ spec: minimalSpec() }));
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: "spec_shape", status: 422 });
    }
  });

  test("/promote has a spec and an LSN", () => {
    const body = { spec: minimalSpec(), wal_flush_lsn: "0/1a2b3c8" };
    expect(decodePromoteRequest(JSON.stringify(body)).wal_flush_lsn).toBe(0x1a2b3c8n);
    expect(() => decodePromoteRequest(JSON.stringify({ ...body, wal_flush_lsn: 5 }))).toThrow(
      "wal_flush_lsn: expected a string, found a number",
    );
    expect(() => decodePromoteRequest(JSON.stringify({ ...body, wal_flush_lsn: "1a" }))).toThrow(
      "wal_flush_lsn: not an LSN",
    );
    expect(() => decodePromoteRequest(JSON.stringify({ spec: minimalSpec() }))).toThrow(
      "missing field `wal_flush_lsn`",
    );
  });
});

describe("failures", () => {
  test("bad syntax is told with line and column, and without the text around it", () => {
    try {
      decodeComputeConfig('{\n  "compute_ctl_config": {"password": hunter2}\n}');
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(SpecSyntaxError);
      expect(error).toMatchObject({ code: "spec_syntax", status: 400, line: 2, column: 38 });
      expect(String(error)).toContain("at line 2 column 38");
      expect(String((error as Error).stack)).not.toContain("hunter2");
      expect((error as Error).cause).toBeUndefined();
    }
  });

  test("no value of the document comes back in an error", () => {
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(minimalSpec()), "mode", "features", "audit_log_level"), (field) => {
        const wrong = { [field]: { "sec ret": ["hunter2"] } };
        try {
          decodeSpec(wrong);
        } catch (error) {
          expect(String(error)).not.toContain("hunter2");
        }
      }),
    );
  });

  test("all problems are collected; the message shows the first ones", () => {
    const roles = Array.from({ length: 20 }, () => ({}));
    try {
      decodeSpec({ cluster: { roles, databases: [] } });
      expect.unreachable();
    } catch (error) {
      expect((error as SpecShapeError).problems).toHaveLength(20);
      expect((error as SpecShapeError).message).toMatch(/^cluster\.roles\[0\]\.name: .*; and 15 more$/);
    }
  });

  test("arbitrary JSON, and arbitrary text, gives a value or a coded error", () => {
    const spots = fc.constantFrom("", ...Object.keys(decodeSpec()), "compute_ctl_config");
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), spots, fc.jsonValue(), (text, spot, value) => {
        const document = spot === "" ? value : { ...JSON.parse(configText(minimalSpec({ [spot]: value }))) };
        for (const decode of [
          decodeComputeConfig,
          decodeConfigurationRequest,
          decodeControlPlaneResponse,
          decodePromoteRequest,
        ])
          for (const input of [
            text,
            JSON.stringify(document),
            JSON.stringify({ ...document, compute_ctl_config: value }),
          ])
            try {
              decode(input);
            } catch (error) {
              expect(error).toBeInstanceOf(CodedError);
            }
      }),
      { numRuns: 300 },
    );
  });
});
