import type { GenericOption } from "./cluster.ts";
import { pageserverConnstringGuc, safekeepersGuc, stripeSizeGuc } from "./connection.ts";
import type { ResolvedSpec } from "./resolved_spec.ts";

/** What works, but probably not as meant (contract: spec.md 10 rows 5 and 12). Names settings, never their values. */
export function findWarnings(resolved: Omit<ResolvedSpec, "warnings">): string[] {
  const settings = resolved.spec.cluster.settings ?? [];
  return [...repeatedSettings(settings), ...contradictedFields(resolved, settings), ...doubtfulPageservers(resolved)];
}

/** Postgres does not tell cases apart in names. */
function repeatedSettings(settings: readonly GenericOption[]): string[] {
  const counts = new Map<string, number>();
  for (const { name } of settings) counts.set(name.toLowerCase(), (counts.get(name.toLowerCase()) ?? 0) + 1);
  return [...counts]
    .filter(([, count]) => count > 1)
    .map(([name, count]) => `setting ${name} is given ${count} times: compute_ctl reads the first, Postgres the last`);
}

/** The settings stand behind what is derived from the fields, and the last line wins. */
function contradictedFields(resolved: Omit<ResolvedSpec, "warnings">, settings: readonly GenericOption[]): string[] {
  const { spec } = resolved;
  const derived: readonly (readonly [guc: string, field: string, value: string | null])[] = [
    ["neon.tenant_id", "tenant_id", spec.tenant_id],
    ["neon.timeline_id", "timeline_id", spec.timeline_id],
    ["neon.project_id", "project_id", spec.project_id],
    ["neon.branch_id", "branch_id", spec.branch_id],
    ["neon.endpoint_id", "endpoint_id", spec.endpoint_id],
    ["neon.stripe_size", "stripe size", stripeSizeGuc(spec)?.toString() ?? null],
    ["neon.pageserver_connstring", "pageservers", pageserverConnstringGuc(resolved)],
    ["neon.safekeepers", "safekeeper_connstrings", safekeepersGuc(spec)],
    ["neon.compute_mode", "mode", spec.mode.kind],
  ];
  return derived.flatMap(([guc, field, value]) => {
    const setting = settings.findLast(({ name }) => name.toLowerCase() === guc)?.value ?? null;
    if (value === null || setting === null || equal(guc, value, setting)) return [];
    return [`setting ${guc} contradicts the spec's ${field}: compute_ctl obeys the field, Postgres the setting`];
  });
}

function equal(guc: string, value: string, setting: string): boolean {
  // An id may stand in either case, a stripe size in any unit that Postgres knows.
  if (guc === "neon.tenant_id" || guc === "neon.timeline_id") return value === setting.toLowerCase();
  if (guc === "neon.stripe_size" && !/^\d+$/.test(setting)) return true;
  return value === setting;
}

function doubtfulPageservers({ pageservers }: Omit<ResolvedSpec, "warnings">): string[] {
  const warnings: string[] = [];
  if (pageservers.shardCount > 1 && pageservers.stripeSize === null)
    warnings.push(`${pageservers.shardCount} shards but no stripe_size: Postgres assumes its default`);
  for (const { index, pageservers: list } of pageservers.shards) {
    if (list[0]?.libpqUrl?.includes(","))
      warnings.push(`the libpq_url of shard ${index} contains a comma: Postgres takes it for several shards`);
  }
  return warnings;
}
