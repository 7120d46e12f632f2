import { describe, expect, test } from "vitest";
import { catalogConcurrency, findSetting, maxConnections, preloadLibraries } from "../../src/spec/settings.ts";
import { decoded, minimalSpec } from "./examples.ts";

function spec(settings: readonly [string, string | null][] | null, postgresql_conf: string | null = null) {
  return decoded(
    minimalSpec({
      cluster: {
        roles: [],
        databases: [],
        postgresql_conf,
        settings: settings?.map(([name, value]) => ({ name, value, vartype: "string" })) ?? null,
      },
    }),
  );
}

test("findSetting takes the first exact match", () => {
  expect(
    findSetting(
      spec([
        ["a", "1"],
        ["a", "2"],
      ]),
      "a",
    ),
  ).toBe("1");
  expect(
    findSetting(
      spec([
        ["a", null],
        ["a", "2"],
      ]),
      "a",
    ),
  ).toBeNull();
  expect(findSetting(spec([["A", "1"]]), "a")).toBeNull();
  expect(findSetting(spec(null, "a = 1"), "a")).toBeNull();
});

describe("preloadLibraries", () => {
  test("splits both sources and leaves out what every image has", () => {
    const setting: [string, string] = ["shared_preload_libraries", "neon, pg_cron,'timescaledb'"];
    const conf = "shared_buffers=1MB\nshared_preload_libraries='databricks_auth,pg_cron,anon' # note\nport=1";
    expect(preloadLibraries(spec([setting], conf))).toEqual(["pg_cron", "timescaledb", "anon"]);
    expect(preloadLibraries(spec(null))).toEqual([]);
  });

  test("only the last line that starts with the name counts, and only with a quote right after the sign", () => {
    const well = "shared_preload_libraries='a'";
    expect(preloadLibraries(spec(null, `${well}\nshared_preload_libraries='b'`))).toEqual(["b"]);
    expect(preloadLibraries(spec(null, `${well}\nshared_preload_libraries = 'b'`))).toEqual([]);
    expect(preloadLibraries(spec(null, `${well}\nshared_preload_libraries=b`))).toEqual([]);
    expect(preloadLibraries(spec(null, ` ${well}`))).toEqual([]);
    expect(preloadLibraries(spec(null, `${well}\r\nport=1\r\n`))).toEqual(["a"]);
  });
});

describe("catalogConcurrency", () => {
  test.each([
    ["1", 1],
    ["9", 9],
    ["10", 10],
    ["29", 10],
    ["30", 10],
    ["112", 37],
    ["299", 99],
    ["300", 100],
    ["5000", 100],
    ["0", 1],
  ])("with max_connections %s it is %i", (value, expected) => {
    expect(catalogConcurrency(spec([["max_connections", value]]))).toBe(expected);
  });

  test("is 10 when nobody says max_connections", () => {
    expect(catalogConcurrency(spec(null))).toBe(10);
    expect(catalogConcurrency(spec(null, "max_connections='50'"))).toBe(10);
    expect(catalogConcurrency(spec([["max_connections", "many"]]))).toBe(10);
  });

  test("postgresql_conf is read when the settings lack it", () => {
    expect(maxConnections(spec(null, "  max_connections  =100 # many\n"))).toBe(100);
    expect(maxConnections(spec(null, "max_connections=1\nmax_connections = 2"))).toBe(2);
    expect(maxConnections(spec([["max_connections", "7"]], "max_connections=100"))).toBe(7);
    expect(maxConnections(spec(null, "superuser_max_connections=3"))).toBeNull();
  });
});
