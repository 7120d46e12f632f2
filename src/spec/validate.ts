import { shardIndexes } from "./pageservers.ts";
import type { Problem } from "./problem.ts";
import { type ResolvedPageservers, SpecResolutionError } from "./resolved_spec.ts";
import type { ComputeConfig, ComputeSpec } from "./schema.ts";
import { pageserversOf, type Safekeepers, type Sourced, safekeepersOf, tenantOf, timelineOf } from "./sources.ts";

// Limits of the neon extension (contract: spec.md 6.2).
const MAX_SHARDS = 128;
const MAX_CONNSTRING_BYTES = 255;
const MAX_SAFEKEEPERS = 31;

/**
 * Everything that keeps a config from running, unlike resolution, which stops at the first. No spec is no problem: the
 * compute then waits for one.
 */
export function findProblems(config: Pick<ComputeConfig, "spec">): Problem[] {
  const spec = config.spec;
  if (spec === null) return [];
  const problems: Problem[] = [];
  const attempt = <T>(step: (spec: ComputeSpec) => T): T | undefined => {
    try {
      return step(spec);
    } catch (error) {
      if (!(error instanceof SpecResolutionError)) throw error;
      problems.push({ path: error.path, message: error.message });
      return undefined;
    }
  };
  const pageservers = attempt(pageserversOf);
  const safekeepers = attempt(safekeepersOf);
  attempt(tenantOf);
  attempt(timelineOf);
  if (spec.mode.kind === "primary" && safekeepers) problems.push(...duplicateSafekeepers(safekeepers));
  if (pageservers) problems.push(...unusablePageservers(spec, pageservers));
  if (spec.mode.kind === "primary" && safekeepers) problems.push(...unusableSafekeepers(safekeepers));
  problems.push(...unusableRest(spec));
  return problems;
}

/** Validation proper, for primaries only: entries are compared as they stand (contract: spec.md 5). */
export function duplicateSafekeepers({ value: { list }, path }: Sourced<Safekeepers>): Problem[] {
  const duplicate = list.find((entry, index) => list.indexOf(entry) < index);
  return duplicate === undefined ? [] : [{ path, message: `duplicate entry in safekeeper_connstrings: ${duplicate}!` }];
}

/** What the original accepts, only to leave a half-written configuration or a status that never ends. */
export function unusablePageservers(spec: ComputeSpec, { value, path }: Sourced<ResolvedPageservers>): Problem[] {
  const info = spec.pageserver_connection_info;
  const problems = info ? inconsistentShards(info, `${path}.shards`) : [];
  if (value.shardCount > MAX_SHARDS)
    problems.push({ path, message: `${value.shardCount} shards, but Postgres takes at most ${MAX_SHARDS}` });
  for (const { index, pageservers } of value.shards) {
    const first = pageservers[0];
    const at = info ? `${path}.shards.${index}.pageservers` : path;
    if (!first) problems.push({ path: at, message: `shard ${index} has no pageserver` });
    else if (first.libpqUrl === null && first.grpcUrl === null)
      problems.push({ path: info ? `${at}[0]` : at, message: `shard ${index} has neither a libpq_url nor a grpc_url` });
    else if (Buffer.byteLength(first.libpqUrl ?? "") > MAX_CONNSTRING_BYTES)
      problems.push({
        path: info ? `${at}[0].libpq_url` : at,
        message: `the connection string of shard ${index} is longer than ${MAX_CONNSTRING_BYTES} bytes`,
      });
  }
  return problems;
}

function inconsistentShards(info: NonNullable<ComputeSpec["pageserver_connection_info"]>, path: string): Problem[] {
  const expected = shardIndexes(info.shard_count);
  const missing = expected.filter((index) => info.shards[index] === undefined);
  const surplus = Object.keys(info.shards).filter((index) => !expected.includes(index));
  return [
    ...missing.map((index) => ({ path, message: `shard ${index} is missing (shard_count is ${info.shard_count})` })),
    ...surplus.map((index) => ({
      path: `${path}.${index}`,
      message: `shard ${index} does not fit shard_count ${info.shard_count}`,
    })),
  ];
}

/** For primaries: only they connect. */
export function unusableSafekeepers({ value: { list }, path }: Sourced<Safekeepers>): Problem[] {
  const problems: Problem[] = [];
  if (list.length > MAX_SAFEKEEPERS)
    problems.push({ path, message: `${list.length} safekeepers, but Postgres takes at most ${MAX_SAFEKEEPERS}` });
  const isField = path === "spec.safekeeper_connstrings";
  list.forEach((entry, index) => {
    const at = isField ? `${path}[${index}]` : path;
    const name = JSON.stringify(entry);
    if (entry.startsWith("g#"))
      problems.push({ path: at, message: `${name} has a generation prefix: use safekeepers_generation` });
    else if (!isHostPort(entry)) problems.push({ path: at, message: `${name} is not host:port` });
  });
  return problems;
}

function isHostPort(entry: string): boolean {
  const port = /^(?:[^:\s[\]]+|\[[0-9a-fA-F:.]+\]):(\d{1,5})$/.exec(entry)?.[1];
  return port !== undefined && Number(port) >= 1 && Number(port) <= 65535;
}

/** What is wrong apart from the storage. */
export function unusableRest(spec: ComputeSpec): Problem[] {
  const problems: Problem[] = [];
  spec.delta_operations?.forEach(({ action, new_name }, index) => {
    if ((action === "rename_db" || action === "rename_role") && new_name === null)
      problems.push({ path: `spec.delta_operations[${index}].new_name`, message: `${action} needs a new_name` });
  });
  if (spec.reconfigure_concurrency === 0)
    problems.push({ path: "spec.reconfigure_concurrency", message: "must be at least 1" });
  spec.cluster.settings?.forEach(({ name, value, vartype }, index) => {
    const path = `spec.cluster.settings[${index}]`;
    const called = JSON.stringify(name);
    if (value === null) problems.push({ path: `${path}.value`, message: `setting ${called} has no value` });
    if (/[\r\n]/.test(name)) problems.push({ path: `${path}.name`, message: `line break in the name ${called}` });
    if (vartype !== "string" && /[\r\n]/.test(value ?? ""))
      problems.push({
        path: `${path}.value`,
        message: `line break in setting ${called}, whose vartype is not "string" and which is therefore not quoted`,
      });
  });
  return problems;
}
