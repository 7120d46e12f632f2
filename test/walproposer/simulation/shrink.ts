import type { Plan } from "./plan.ts";
import type { Plant } from "./plants.ts";
import { simulate } from "./simulation.ts";

/** Runs that shrinking one plan may cost. */
const BUDGET = 400;

/**
 * A smaller plan that still breaks a promise of the same kind: faults are left out, many at once first, then one by one, and the end of the
 * trouble is moved forward.
 */
export function shrink(failing: Plan, plant: Plant = {}): Plan {
  let plan = failing;
  let runs = 0;
  const { kind } = simulate(failing, plant);
  const stillFails = (candidate: Plan) => runs++ < BUDGET && simulate(candidate, plant).kind === kind;
  const tryPlan = (candidate: Plan) => {
    if (!stillFails(candidate)) return false;
    plan = candidate;
    return true;
  };
  tryPlan({ ...plan, lost: [] });
  for (let size = Math.ceil(plan.faults.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2))
    for (let from = 0; from < plan.faults.length; )
      if (!tryPlan({ ...plan, faults: [...plan.faults.slice(0, from), ...plan.faults.slice(from + size)] }))
        from += size;
  for (const share of [0.25, 0.5, 0.75]) if (tryPlan({ ...plan, calmAt: Math.round(plan.calmAt * share) })) break;
  return plan;
}
