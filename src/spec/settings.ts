import type { ComputeSpec } from "./schema.ts";

/** What is read from a spec's settings by name. */
export type SpecWithSettings = Pick<ComputeSpec, "cluster">;

/**
 * The value of the first element of `cluster.settings` with exactly this name. A null value counts as missing, later
 * duplicates are not consulted, `cluster.postgresql_conf` is not searched (contract: spec.md 5).
 */
export function findSetting(spec: SpecWithSettings, name: string): string | null {
  return spec.cluster.settings?.find((setting) => setting.name === name)?.value ?? null;
}

/** Where that element stands in the document. */
export function settingPath(spec: SpecWithSettings, name: string): string {
  const index = spec.cluster.settings?.findIndex((setting) => setting.name === name) ?? -1;
  return index < 0 ? "spec.cluster.settings" : `spec.cluster.settings[${index}].value`;
}

/** Libraries that are part of the image and are never downloaded. */
const BUILT_IN: ReadonlySet<string> = new Set(["neon", "databricks_auth"]);

/**
 * The names in `shared_preload_libraries`, of the settings and of `postgresql_conf` together, without duplicates and
 * without what every image has (contract: spec.md 6.4, 7.1).
 */
export function preloadLibraries(spec: SpecWithSettings): string[] {
  const sources = [findSetting(spec, "shared_preload_libraries") ?? "", preloadLibrariesOfConf(spec)];
  const names = sources.flatMap((source) => source.split(/[,' ]/));
  return [...new Set(names)].filter((name) => name !== "" && !BUILT_IN.has(name));
}

/** Only the last line that starts with the name counts, and only when a quote follows the equals sign at once. */
function preloadLibrariesOfConf(spec: SpecWithSettings): string {
  const line = confLines(spec).findLast((text) => text.startsWith("shared_preload_libraries")) ?? "";
  return /='([^']*)/.exec(line)?.[1] ?? "";
}

/** `max_connections` of the settings, else of a `postgresql_conf` line with an unquoted number; null when neither has one. */
export function maxConnections(spec: SpecWithSettings): number | null {
  const setting = findSetting(spec, "max_connections");
  if (setting !== null) return /^\d+$/.test(setting.trim()) ? Number(setting) : null;
  const found = confLines(spec)
    .map((line) => /^\s*max_connections\s*=\s*(\d+)\s*(?:#.*)?$/.exec(line)?.[1])
    .findLast((digits) => digits !== undefined);
  return found === undefined ? null : Number(found);
}

/** How many databases are worked on at once when a compute starts (contract: spec.md 6.4). */
export function catalogConcurrency(spec: SpecWithSettings): number {
  const connections = maxConnections(spec);
  if (connections === null) return 10;
  if (connections < 10) return Math.max(connections, 1);
  if (connections < 30) return 10;
  if (connections < 300) return Math.floor(connections / 3);
  return 100;
}

function confLines(spec: SpecWithSettings): string[] {
  return spec.cluster.postgresql_conf?.split(/\r?\n/) ?? [];
}
