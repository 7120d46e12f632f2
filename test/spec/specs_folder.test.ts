import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { validateFile } from "../../src/cli/validate.ts";
import { decodeComputeConfig } from "../../src/spec/decode.ts";
import { formatComputeConfig } from "../../src/spec/encode.ts";
import { resolveSpec } from "../../src/spec/resolve.ts";
import { findStale } from "../../tools/generate.ts";
import { violations } from "./json_schema.ts";

const folder = fileURLToPath(new URL("../../specs", import.meta.url));
const files = readdirSync(folder).filter(
  (name) => name.endsWith(".json") && !/(?:\.schema|^openapi)\.json$/.test(name),
);
const read = (name: string) => readFileSync(join(folder, name), "utf8");
const schema = JSON.parse(read("compute-spec.schema.json"));

test("has the files that the documentation names", () => {
  expect(files.sort()).toEqual(
    "full grpc minimal oldest-form quickstart replica sharded static".split(" ").map((name) => `${name}.json`),
  );
});

describe.each(files)("specs/%s", (name) => {
  test("decodes and resolves without a warning", async () => {
    const { spec } = decodeComputeConfig(read(name));
    if (spec === null) expect.unreachable();
    expect(resolveSpec(spec).warnings).toEqual([]);
    expect(await validateFile(join(folder, name))).toMatchObject({ ok: true });
  });

  test("fits the JSON Schema, also as it is written back", () => {
    expect(violations(schema, JSON.parse(read(name)))).toEqual([]);
    expect(violations(schema, JSON.parse(formatComputeConfig(decodeComputeConfig(read(name)))))).toEqual([]);
  });
});

describe("the JSON Schema", () => {
  test("is fresh, like every generated file", async () => {
    expect(await findStale()).toEqual([]);
  });

  test.each([
    ["a missing field", (spec: Record<string, unknown>) => delete spec.format_version, "/spec"],
    ["a wrong mode", (spec: Record<string, unknown>) => (spec.mode = "primary"), "/spec"],
    ["a malformed id", (spec: Record<string, unknown>) => (spec.tenant_id = "x"), "/spec"],
    ["a number for a string", (spec: Record<string, unknown>) => (spec.pgbouncer_settings = { a: 1 }), "/spec"],
    ["an offload interval of 0", (spec: Record<string, unknown>) => (spec.offload_lfc_interval_seconds = 0), "/spec"],
  ])("refuses %s", (_, spoil, path) => {
    const config = JSON.parse(read("quickstart.json"));
    spoil(config.spec);
    expect(violations(schema, config)).toEqual([`${path}: fits none of anyOf`]);
  });
});
