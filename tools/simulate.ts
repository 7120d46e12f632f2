import { parseArgs } from "node:util";
import { makePlan } from "../test/walproposer/simulation/plan.ts";
import { PLANTS, type Plant } from "../test/walproposer/simulation/plants.ts";
import { shrink } from "../test/walproposer/simulation/shrink.ts";
import { simulate } from "../test/walproposer/simulation/simulation.ts";

/**
 * Simulates the WAL proposer and its acceptors over many seeds:
 *
 *   npm run simulate -- --seeds 10000            seeds 1 to 10000
 *   npm run simulate -- --seed 4711              one seed, with its trace
 *   npm run simulate -- --plant "vote before fsync"   with a mistake built in, which must be found
 *
 * The first seed that breaks a promise is shrunk and printed with its trace; the exit code is then 1.
 */
const { values } = parseArgs({
  options: { seeds: { type: "string" }, seed: { type: "string" }, plant: { type: "string" } },
});

const plants: Readonly<Record<string, Plant>> = PLANTS;
const plant = values.plant === undefined ? {} : plants[values.plant];
if (!plant) {
  console.error(`no such plant; there are: ${Object.keys(PLANTS).join(", ")}`);
  process.exit(2);
}

const first = values.seed === undefined ? 1 : Number(values.seed);
const count = values.seeds === undefined ? (values.seed === undefined ? 1_000 : 1) : Number(values.seeds);
if (!Number.isSafeInteger(first) || !Number.isSafeInteger(count) || count < 1) {
  console.error("--seed and --seeds take whole numbers");
  process.exit(2);
}

const begun = performance.now();
let elections = 0;
let commits = 0;
for (let seed = first; seed < first + count; seed++) {
  const plan = makePlan(seed);
  const outcome = simulate(plan, plant, count === 1);
  elections += outcome.elections;
  commits += outcome.commits;
  for (const line of outcome.trace) console.log(line);
  if (outcome.violation === undefined) continue;
  console.log(`seed ${seed}: ${outcome.violation}`);
  const small = shrink(plan, plant);
  const again = simulate(small, plant, true);
  console.log(`shrunk to ${small.faults.length} of ${plan.faults.length} faults: ${again.violation}`);
  for (const line of again.trace) console.log(line);
  console.log(JSON.stringify(small));
  process.exit(1);
}
const seconds = ((performance.now() - begun) / 1_000).toFixed(1);
console.log(
  `${count} seeds from ${first} on: ${elections} elections, ${commits} commits, no promise broken, ${seconds} s`,
);
