import { describe, expect, test } from "vitest";
import { makePlan } from "./plan.ts";
import { PLANTS, type Plant } from "./plants.ts";
import { shrink } from "./shrink.ts";
import { type Outcome, simulate } from "./simulation.ts";

/** The first seeds; `npm run simulate -- --seeds N --seed S` runs others. */
const SEEDS = 10_000;
/** A built-in mistake must be found within so many seeds. */
const SEEDS_FOR_A_PLANT = 1_000;

test(`storage-protocols.md case 47: ${SEEDS} simulated worlds of crashes, partitions and competing computes keep every promise`, () => {
  let elections = 0;
  let commits = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const plan = makePlan(seed);
    const outcome = simulate(plan);
    if (outcome.violation !== undefined) expect.fail(report(seed, outcome, {}));
    elections += outcome.elections;
    commits += outcome.commits;
  }
  // A simulation in which little happens proves little.
  expect(elections).toBeGreaterThan(2 * SEEDS);
  expect(commits).toBeGreaterThan(5 * SEEDS);
}, 300_000);

describe("a mistake that is built in is found", () => {
  test.each(Object.entries<Plant>(PLANTS))("%s", (_, plant) => {
    const seed = firstFailing(plant);
    expect(seed).toBeDefined();
    const plan = makePlan(seed!);
    const small = shrink(plan, plant);
    expect(small.faults.length).toBeLessThanOrEqual(plan.faults.length);
    const outcome = simulate(small, plant, true);
    expect(outcome.kind).toBe("safety");
    expect(outcome.trace.length).toBeGreaterThan(0);
    // The same world without the mistake is fine.
    expect(simulate(small).violation).toBeUndefined();
  });
});

test("the same seed gives the same world, with and without a trace", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const plan = makePlan(seed);
    const first = simulate(plan, {}, true);
    expect(simulate(plan, {}, true)).toEqual(first);
    expect(simulate(plan)).toEqual({ ...first, trace: [] });
  }
});

function firstFailing(plant: Plant): number | undefined {
  for (let seed = 1; seed <= SEEDS_FOR_A_PLANT; seed++)
    if (simulate(makePlan(seed), plant).kind === "safety") return seed;
  return undefined;
}

function report(seed: number, outcome: Outcome, plant: Plant): string {
  const small = shrink(makePlan(seed), plant);
  const { violation, trace } = simulate(small, plant, true);
  return [`seed ${seed}: ${outcome.violation}`, `shrunk: ${violation}`, ...trace, JSON.stringify(small)].join("\n");
}
