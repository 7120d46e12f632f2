import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { resolveSpec } from "../../src/spec/resolve.ts";
import { SpecResolutionError } from "../../src/spec/resolved_spec.ts";
import { findProblems } from "../../src/spec/validate.ts";
import { decoded, minimalSpec, oldestSpec } from "./examples.ts";

describe("findProblems", () => {
  test("finds all of them, where resolution stops at the first", () => {
    const spec = decoded(
      oldestSpec(
        { "neon.pageserver_connstring": undefined, "neon.safekeepers": "a:1,a:1,b", "neon.tenant_id": "x", port: null },
        { reconfigure_concurrency: 0, delta_operations: [{ action: "rename_db", name: "a" }] },
      ),
    );
    expect(findProblems({ spec })).toEqual([
      { path: "spec.pageserver_connection_info", message: "pageserver connection information should be provided" },
      { path: "spec.cluster.settings[0].value", message: "invalid tenant id" },
      { path: "spec.cluster.settings[3].value", message: "duplicate entry in safekeeper_connstrings: a:1!" },
      { path: "spec.cluster.settings[3].value", message: '"b" is not host:port' },
      { path: "spec.delta_operations[0].new_name", message: "rename_db needs a new_name" },
      { path: "spec.reconfigure_concurrency", message: "must be at least 1" },
      { path: "spec.cluster.settings[4].value", message: 'setting "port" has no value' },
    ]);
  });

  test("no spec has no problem", () => {
    expect(findProblems({ spec: null })).toEqual([]);
  });

  test("there is none exactly when the spec resolves", () => {
    const changes = fc.record(
      {
        mode: fc.constantFrom("Primary", "Replica"),
        tenant_id: fc.constant(null),
        safekeeper_connstrings: fc.constantFrom([], ["a:1"], ["a:1", "a:1"], ["a"]),
        reconfigure_concurrency: fc.nat({ max: 1 }),
        pageserver_connection_info: fc.constantFrom(null, { shard_count: 1, shards: {} }),
        pageserver_connstring: fc.constantFrom("a", "", "a,b"),
        shard_stripe_size: fc.constant(8),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(changes, (fields) => {
        const spec = decoded(minimalSpec(fields));
        let resolves = true;
        try {
          resolveSpec(spec);
        } catch (error) {
          expect(error).toBeInstanceOf(SpecResolutionError);
          resolves = false;
        }
        expect(findProblems({ spec }).length === 0).toBe(resolves);
      }),
    );
  });
});
