import { describe, expect, test } from "vitest";
import { Promotion, requirePromotable } from "../../src/node/promotion.ts";
import type { ResolvedSpec } from "../../src/spec/resolved_spec.ts";

function specOf(kind: "primary" | "replica" | "static"): ResolvedSpec {
  return { spec: { mode: { kind } } } as ResolvedSpec;
}

describe("who can be promoted", () => {
  test.each(["primary", "static"] as const)("http-api.md case 33: a %s is no replica", (kind) => {
    expect(() => requirePromotable({ spec: specOf(kind), prewarm: undefined })).toThrow(
      `compute mode "${kind}" is not replica`,
    );
  });

  test("http-api.md case 33: Neon's replica must have been prewarmed, whatever came of it", () => {
    const check = (status: "not_prewarmed" | "prewarming" | "skipped" | "cancelled"): void =>
      requirePromotable({ spec: specOf("replica"), prewarm: { status } });
    expect(() => check("not_prewarmed")).toThrow("compute NotPrewarmed");
    expect(() => check("prewarming")).toThrow("compute Prewarming");
    check("skipped");
    check("cancelled");
    requirePromotable({ spec: specOf("replica"), prewarm: { status: "failed", error: "x" } });
    requirePromotable({ spec: specOf("replica"), prewarm: undefined });
  });
});

test("http-api.md case 33: two calls are one promotion, a later one gets its result, a failed one is forgotten", async () => {
  const timings = { lsnWaitMs: 1, promoteMs: 2, reconfigureMs: 3 };
  let runs = 0;
  let fail = true;
  const promote = (): Promise<typeof timings> => {
    runs++;
    return fail ? Promise.reject(new Error("cannot")) : Promise.resolve(timings);
  };
  const promotion = new Promotion();
  const call = (): Promise<unknown> => promotion.run(promote, specOf("primary"), 0n);
  const both = await Promise.allSettled([call(), call()]);
  expect(both.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect([runs, promotion.begun]).toEqual([1, false]);
  fail = false;
  expect(await Promise.all([call(), call()])).toEqual([timings, timings]);
  expect(await call()).toEqual(timings);
  expect(runs).toBe(2);
});
