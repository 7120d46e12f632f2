import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { baseBackupEndpoint } from "../../src/spec/connection.ts";
import { resolveSpec } from "../../src/spec/resolve.ts";
import { SpecResolutionError } from "../../src/spec/resolved_spec.ts";
import { decoded, minimalSpec, OLDEST_SETTINGS, oldestSpec, resolved, TENANT, TIMELINE } from "./examples.ts";

type Json = Record<string, unknown>;

/** What resolution says to a spec that it refuses. */
function refusal(spec: Json): string {
  try {
    resolved(spec);
  } catch (error) {
    expect(error).toBeInstanceOf(SpecResolutionError);
    expect(error).toMatchObject({ code: "spec_resolution", status: 400 });
    return (error as Error).message;
  }
  return "accepted";
}

const byConnstring = (connstring: string, rest: Json = {}) =>
  minimalSpec({ pageserver_connection_info: undefined, pageserver_connstring: connstring, ...rest });

const sharded = (count: number, keys: string[], pageservers: unknown[] = [{ libpq_url: "host=ps" }]) =>
  minimalSpec({
    pageserver_connection_info: {
      shard_count: count,
      stripe_size: 8,
      shards: Object.fromEntries(keys.map((key) => [key, { pageservers }])),
    },
  });

describe("pageservers", () => {
  test("spec.md case 14: pageserver_connection_info wins over the older forms", () => {
    const spec = oldestSpec({}, { ...minimalSpec(), pageserver_connstring: "host=older" });
    const { cluster } = oldestSpec();
    expect(baseBackupEndpoint(resolved({ ...spec, cluster })).url).toBe("postgresql://no_user@ps-1:6400");
    const older = { ...spec, cluster, pageserver_connection_info: null };
    expect(baseBackupEndpoint(resolved(older)).url).toBe("host=older");
    expect(baseBackupEndpoint(resolved({ ...older, pageserver_connstring: null })).url).toBe("host=ps-1 port=6400");
  });

  test("spec.md case 15: two connection strings without a stripe size", () => {
    expect(refusal(byConnstring("a,b"))).toBe("2 shards but no stripe_size");
    expect(refusal(oldestSpec({ "neon.stripe_size": undefined }))).toBe("2 shards but no stripe_size");
  });

  test("spec.md case 16: one connection string is an unsharded tenant, whatever the stripe size", () => {
    expect(resolved(byConnstring("a", { shard_stripe_size: 7 })).pageservers).toEqual({
      shardCount: 0,
      stripeSize: null,
      preferProtocol: "libpq",
      shards: [{ index: "0000", pageservers: [{ id: null, libpqUrl: "a", grpcUrl: null }] }],
    });
  });

  test("several connection strings are shards in their order, split without trimming", () => {
    const { pageservers } = resolved(byConnstring("a, b,c", { shard_stripe_size: 7 }));
    expect(pageservers.shardCount).toBe(3);
    expect(pageservers.stripeSize).toBe(7);
    expect(pageservers.shards.map(({ index }) => index)).toEqual(["0003", "0103", "0203"]);
    expect(pageservers.shards[1]?.pageservers[0]?.libpqUrl).toBe(" b");
  });

  test("too many connection strings", () => {
    const pieces = (count: number) => byConnstring(Array(count).fill("a").join(","), { shard_stripe_size: 7 });
    expect(refusal(pieces(256))).toBe("out of range integral type conversion attempted");
    expect(refusal(pieces(255))).toBe("spec.pageserver_connstring: 255 shards, but Postgres takes at most 128");
    expect(refusal(pieces(128))).toBe("accepted");
  });

  test("the stripe size setting is decimal digits", () => {
    for (const size of ["16MB", "-1", " 8", "8.0", "0x8", "+"])
      expect(refusal(oldestSpec({ "neon.stripe_size": size }))).toBe("invalid digit found in string");
    expect(refusal(oldestSpec({ "neon.stripe_size": "" }))).toBe("cannot parse integer from empty string");
    expect(refusal(oldestSpec({ "neon.stripe_size": "4294967296" }))).toBe("number too large to fit in target type");
    expect(resolved(oldestSpec({ "neon.stripe_size": "+08" })).pageservers.stripeSize).toBe(8);
  });

  test("shards come in shard order, whatever the order of the keys", () => {
    const { pageservers } = resolved(sharded(3, ["0203", "0003", "0103"]));
    expect(pageservers.shards.map(({ index }) => index)).toEqual(["0003", "0103", "0203"]);
  });

  test("none at all", () => {
    expect(refusal(minimalSpec({ pageserver_connection_info: null }))).toBe(
      "pageserver connection information should be provided",
    );
  });

  test("spec.md case 23: a shard map with a gap names the shard", () => {
    expect(refusal(sharded(2, ["0002"]))).toBe(
      "spec.pageserver_connection_info.shards: shard 0102 is missing (shard_count is 2)",
    );
  });

  test.each([
    ["no shard", sharded(0, []), "shards: shard 0000 is missing (shard_count is 0)"],
    ["count byte of another count", sharded(1, ["0000"]), "shards: shard 0001 is missing (shard_count is 1)"],
    ["one too many", sharded(1, ["0001", "0101"]), "shards.0101: shard 0101 does not fit shard_count 1"],
    ["no pageserver", sharded(0, ["0000"], []), "shards.0000.pageservers: shard 0000 has no pageserver"],
    [
      "no URL",
      sharded(0, ["0000"], [{ id: 1, libpq_url: "" }]),
      "shards.0000.pageservers[0]: shard 0000 has neither a libpq_url nor a grpc_url",
    ],
    [
      "a URL that is too long",
      sharded(0, ["0000"], [{ libpq_url: "é".repeat(128) }]),
      "shards.0000.pageservers[0].libpq_url: the connection string of shard 0000 is longer than 255 bytes",
    ],
  ])("refused: %s", (_, spec, message) => {
    expect(refusal(spec)).toBe(`spec.pageserver_connection_info.${message}`);
  });

  test("a connection string may have 255 bytes, one with a trailing comma has an empty shard", () => {
    expect(refusal(byConnstring("a".repeat(255)))).toBe("accepted");
    expect(refusal(byConnstring("a".repeat(256)))).toBe(
      "spec.pageserver_connstring: the connection string of shard 0000 is longer than 255 bytes",
    );
    expect(refusal(byConnstring("a,", { shard_stripe_size: 8 }))).toBe(
      "spec.pageserver_connstring: shard 0102 has neither a libpq_url nor a grpc_url",
    );
  });
});

describe("the oldest form", () => {
  test("spec.md case 17: everything is found in the settings", () => {
    const spec = resolved(oldestSpec());
    expect(spec.tenantId).toBe(TENANT);
    expect(spec.timelineId).toBe(TIMELINE);
    expect(spec.pageservers.shards.map(({ index }) => index)).toEqual(["0002", "0102"]);
    expect(spec.pageservers.stripeSize).toBe(2048);
    expect(spec.safekeepers).toEqual(["sk-1:5454", "sk-2:5454", "sk-3:5454"]);
    expect(spec.safekeepersGeneration).toBeNull();
    expect(spec.warnings).toEqual([]);
  });

  test("spec.md case 18: only a primary needs safekeepers", () => {
    const without = (mode: unknown) => oldestSpec({ "neon.safekeepers": undefined }, { mode });
    expect(refusal(without("Primary"))).toBe("safekeeper connstrings should be provided");
    expect(resolved(without("Replica")).safekeepers).toEqual([]);
    expect(resolved(without({ Static: "0/1" })).safekeepers).toEqual([]);
  });

  test("other modes do not look for safekeepers in the settings", () => {
    expect(resolved(oldestSpec({}, { mode: "Replica" })).safekeepers).toEqual([]);
  });

  test("spec.md case 21: a generation prefix is cut off and kept", () => {
    const spec = resolved(oldestSpec({ "neon.safekeepers": "g#5:a:1,b:1" }));
    expect(spec.safekeepers).toEqual(["a:1", "b:1"]);
    expect(spec.safekeepersGeneration).toBe(5);
  });

  test("blanks around a safekeeper do not count", () => {
    expect(resolved(oldestSpec({ "neon.safekeepers": "a:1, b:1 " })).safekeepers).toEqual(["a:1", "b:1"]);
  });

  test("ids: missing, malformed, upper case", () => {
    expect(refusal(oldestSpec({ "neon.tenant_id": undefined }))).toBe("tenant id should be provided");
    expect(refusal(oldestSpec({ "neon.timeline_id": null }))).toBe("timeline id should be provided");
    expect(refusal(oldestSpec({ "neon.tenant_id": "zz" }))).toBe("invalid tenant id");
    expect(refusal(oldestSpec({ "neon.timeline_id": `${TIMELINE}0` }))).toBe("invalid timeline id");
    expect(resolved(oldestSpec({ "neon.tenant_id": TENANT.toUpperCase() })).tenantId).toBe(TENANT);
  });

  test("the first failure in the order of the contract wins", () => {
    const broken = Object.fromEntries(Object.keys(OLDEST_SETTINGS).map((name) => [name, undefined]));
    const order = [
      ["neon.pageserver_connstring", "pageserver connection information should be provided"],
      ["neon.safekeepers", "safekeeper connstrings should be provided"],
      ["neon.tenant_id", "tenant id should be provided"],
      ["neon.timeline_id", "timeline id should be provided"],
    ] as const;
    const given: Record<string, string | undefined> = { ...broken, "neon.stripe_size": "8" };
    for (const [name, message] of order) {
      expect(refusal(oldestSpec(given))).toBe(message);
      given[name] = OLDEST_SETTINGS[name];
    }
    expect(refusal(oldestSpec(given))).toBe("accepted");
  });

  test("only the first element of a name is looked at, and postgresql_conf is not", () => {
    const settings = [
      { name: "neon.tenant_id", value: null, vartype: "string" },
      { name: "neon.tenant_id", value: TENANT, vartype: "string" },
    ];
    const cluster = { roles: [], databases: [], settings, postgresql_conf: `neon.tenant_id='${TENANT}'` };
    expect(refusal(minimalSpec({ tenant_id: null, cluster }))).toBe("tenant id should be provided");
  });

  test("endpoint storage: the field, else the setting, else none", () => {
    const settings = { "neon.endpoint_storage_addr": "es:1", "neon.endpoint_storage_token": "t" };
    expect(resolved(oldestSpec(settings))).toMatchObject({ endpointStorageAddr: "es:1", endpointStorageToken: "t" });
    expect(resolved(oldestSpec(settings, { endpoint_storage_addr: "f:1", endpoint_storage_token: "u" }))).toMatchObject(
      {
        endpointStorageAddr: "f:1",
        endpointStorageToken: "u",
      },
    );
    expect(resolved(oldestSpec())).toMatchObject({ endpointStorageAddr: null, endpointStorageToken: null });
  });
});

describe("safekeepers", () => {
  const withSafekeepers = (list: string[], mode: unknown = "Primary") =>
    minimalSpec({ safekeeper_connstrings: list, mode });

  test("spec.md case 19: duplicates, for a primary only", () => {
    const list = ["a:1", "b:1", "a:1"];
    expect(refusal(withSafekeepers(list))).toBe("duplicate entry in safekeeper_connstrings: a:1!");
    expect(resolved(withSafekeepers(list, "Replica")).safekeepers).toEqual(list);
  });

  test("spec.md case 20: an even number is fine", () => {
    expect(resolved(withSafekeepers(["a:1", "b:1", "c:1", "d:1"])).safekeepers).toHaveLength(4);
  });

  test("the generation belongs to the list field", () => {
    expect(resolved(minimalSpec({ safekeepers_generation: 3 })).safekeepersGeneration).toBe(3);
    expect(resolved(oldestSpec({}, { safekeepers_generation: 3 })).safekeepersGeneration).toBeNull();
  });

  test("each is host:port, without a generation, at most 31", () => {
    const path = "spec.safekeeper_connstrings";
    for (const entry of ["sk", "sk:", ":1", "sk:0", "sk:65536", "sk:pg", "a b:1", "sk:1:2", ""])
      expect(refusal(withSafekeepers(["ok:1", entry]))).toBe(`${path}[1]: ${JSON.stringify(entry)} is not host:port`);
    expect(refusal(withSafekeepers(["g#5:a:1"]))).toBe(
      `${path}[0]: "g#5:a:1" has a generation prefix: use safekeepers_generation`,
    );
    const many = (count: number) => withSafekeepers(Array.from({ length: count }, (_, index) => `sk-${index}:1`));
    expect(refusal(many(31))).toBe("accepted");
    expect(refusal(many(32))).toBe(`${path}: 32 safekeepers, but Postgres takes at most 31`);
    expect(refusal(withSafekeepers(["[::1]:5454"]))).toBe("accepted");
    expect(refusal(withSafekeepers(["sk"], "Replica"))).toBe("accepted");
    expect(refusal(oldestSpec({ "neon.safekeepers": "a:1," }))).toBe(
      'spec.cluster.settings[4].value: "" is not host:port',
    );
  });
});

describe("the rest", () => {
  const setting = (name: string, value: string | null, vartype = "string") =>
    minimalSpec({ cluster: { roles: [], databases: [], settings: [{ name, value, vartype }] } });

  test.each([
    [
      minimalSpec({ delta_operations: [{ action: "rename_db", name: "a" }] }),
      "spec.delta_operations[0].new_name: rename_db needs a new_name",
    ],
    [
      minimalSpec({
        delta_operations: [
          { action: "x", name: "a" },
          { action: "rename_role", name: "a" },
        ],
      }),
      "spec.delta_operations[1].new_name: rename_role needs a new_name",
    ],
    [minimalSpec({ reconfigure_concurrency: 0 }), "spec.reconfigure_concurrency: must be at least 1"],
    [setting("work_mem", null), 'spec.cluster.settings[0].value: setting "work_mem" has no value'],
    [
      setting("a", "1\nb = 2", "integer"),
      'spec.cluster.settings[0].value: line break in setting "a", whose vartype is not "string" and which is therefore not quoted',
    ],
    [setting("a = 1\nb", "2"), 'spec.cluster.settings[0].name: line break in the name "a = 1\\nb"'],
  ])("refused: %j", (spec, message) => {
    expect(refusal(spec)).toBe(message);
  });

  test("a quoted setting may have line breaks; unknown actions and deletions need no new name", () => {
    expect(refusal(setting("a", "1\n2"))).toBe("accepted");
    expect(refusal(minimalSpec({ delta_operations: [{ action: "delete_db", name: "a" }] }))).toBe("accepted");
  });

  test("the original's own checks come before ours", () => {
    const spec = minimalSpec({ reconfigure_concurrency: 0, safekeeper_connstrings: ["a", "a"] });
    expect(refusal(spec)).toBe("duplicate entry in safekeeper_connstrings: a!");
  });
});

describe("warnings", () => {
  const withSettings = (settings: [string, string][], rest: Json = {}) =>
    resolved(
      minimalSpec({
        cluster: {
          roles: [],
          databases: [],
          settings: settings.map(([name, value]) => ({ name, value, vartype: "string" })),
        },
        ...rest,
      }),
    ).warnings;

  test("a field and a setting that say different things", () => {
    const other = TENANT.replace("5", "6");
    expect(withSettings([["neon.tenant_id", other]])).toEqual([
      "setting neon.tenant_id contradicts the spec's tenant_id: compute_ctl obeys the field, Postgres the setting",
    ]);
    expect(withSettings([["neon.tenant_id", TENANT.toUpperCase()]])).toEqual([]);
    expect(withSettings([["neon.compute_mode", "replica"]])).toHaveLength(1);
    expect(withSettings([["neon.safekeepers", "sk-1:5454,sk-2:5454,sk-3:5454"]])).toEqual([]);
    expect(
      withSettings([["neon.safekeepers", "sk-1:5454,sk-2:5454,sk-3:5454"]], { safekeepers_generation: 2 }),
    ).toHaveLength(1);
    const secret = withSettings([["neon.pageserver_connstring", "postgresql://u:hunter2@ps"]]);
    expect(secret).toHaveLength(1);
    expect(secret.join()).not.toContain("hunter2");
  });

  test("a setting that is given twice", () => {
    expect(
      withSettings([
        ["work_mem", "1MB"],
        ["port", "1"],
        ["Work_Mem", "2MB"],
      ]),
    ).toEqual(["setting work_mem is given 2 times: compute_ctl reads the first, Postgres the last"]);
  });

  test("shards without a stripe size, a comma in a connection string", () => {
    const shards = { "0002": { pageservers: [{ libpq_url: "a,b" }] }, "0102": { pageservers: [{ libpq_url: "c" }] } };
    expect(resolved(minimalSpec({ pageserver_connection_info: { shard_count: 2, shards } })).warnings).toEqual([
      "2 shards but no stripe_size: Postgres assumes its default",
      "the libpq_url of shard 0002 contains a comma: Postgres takes it for several shards",
    ]);
  });
});

test("whatever the settings say, resolution gives a value or its own error", () => {
  const names = fc.constantFrom(...Object.keys(OLDEST_SETTINGS), "port");
  fc.assert(
    fc.property(
      fc.array(fc.tuple(names, fc.oneof(fc.string(), fc.constantFrom("g#1:a:1", TENANT, "8", null)))),
      fc.constantFrom("Primary", "Replica", { Static: "0/1" }),
      (settings, mode) => {
        const spec = decoded({
          ...minimalSpec({ mode, tenant_id: null, timeline_id: null, pageserver_connection_info: null }),
          safekeeper_connstrings: [],
          cluster: {
            roles: [],
            databases: [],
            settings: settings.map(([name, value]) => ({ name, value, vartype: "string" })),
          },
        });
        try {
          resolveSpec(spec);
        } catch (error) {
          expect(error).toBeInstanceOf(SpecResolutionError);
        }
      },
    ),
  );
});
