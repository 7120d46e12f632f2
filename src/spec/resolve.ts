import { formatProblem } from "./problem.ts";
import { type ResolvedSpec, SpecResolutionError } from "./resolved_spec.ts";
import type { ComputeSpec } from "./schema.ts";
import { findSetting } from "./settings.ts";
import { pageserversOf, safekeepersOf, tenantOf, timelineOf } from "./sources.ts";
import { duplicateSafekeepers, unusablePageservers, unusableRest, unusableSafekeepers } from "./validate.ts";
import { findWarnings } from "./warnings.ts";

/**
 * Settles what can come from more than one place, and refuses what cannot run; for every spec that arrives, before
 * anything is changed (contract: spec.md 5). The first failure wins; those that the original has keep its exact texts,
 * the others name the JSON path.
 *
 * @throws SpecResolutionError
 */
export function resolveSpec(spec: ComputeSpec): ResolvedSpec {
  const pageservers = pageserversOf(spec);
  const safekeepers = safekeepersOf(spec);
  const resolved = {
    spec,
    tenantId: tenantOf(spec),
    timelineId: timelineOf(spec),
    pageservers: pageservers.value,
    safekeepers: safekeepers.value.list,
    safekeepersGeneration: safekeepers.value.generation,
    endpointStorageAddr: spec.endpoint_storage_addr ?? findSetting(spec, "neon.endpoint_storage_addr"),
    endpointStorageToken: spec.endpoint_storage_token ?? findSetting(spec, "neon.endpoint_storage_token"),
  };

  const primary = spec.mode.kind === "primary";
  const duplicate = primary ? duplicateSafekeepers(safekeepers)[0] : undefined;
  if (duplicate) throw new SpecResolutionError(duplicate.path, duplicate.message);
  const problem =
    unusablePageservers(spec, pageservers)[0] ??
    (primary ? unusableSafekeepers(safekeepers)[0] : undefined) ??
    unusableRest(spec)[0];
  if (problem) throw new SpecResolutionError(problem.path, formatProblem(problem));

  return { ...resolved, warnings: findWarnings(resolved) };
}
