import { type PageserverConnectionInfo, shardIndexes } from "./pageservers.ts";
import { type ResolvedPageservers, SpecResolutionError } from "./resolved_spec.ts";
import type { ComputeSpec } from "./schema.ts";
import { findSetting, settingPath } from "./settings.ts";

/** A value, and which of its possible places in the document it came from. */
export interface Sourced<T> {
  readonly value: T;
  readonly path: string;
}

/** Step 1: the modern field, else the older field, else the settings (contract: spec.md 5). */
export function pageserversOf(spec: ComputeSpec): Sourced<ResolvedPageservers> {
  if (spec.pageserver_connection_info !== null)
    return { value: ofConnectionInfo(spec.pageserver_connection_info), path: "spec.pageserver_connection_info" };
  if (spec.pageserver_connstring !== null) {
    const path = "spec.pageserver_connstring";
    return { value: ofConnstring(spec.pageserver_connstring, spec.shard_stripe_size, path), path };
  }
  const connstring = findSetting(spec, "neon.pageserver_connstring");
  if (connstring === null)
    throw new SpecResolutionError(
      "spec.pageserver_connection_info",
      "pageserver connection information should be provided",
    );
  const path = settingPath(spec, "neon.pageserver_connstring");
  return { value: ofConnstring(connstring, stripeSizeSetting(spec), path), path };
}

export interface Safekeepers {
  readonly list: readonly string[];
  readonly generation: number | null;
}

/** Step 2. A generation prefix in the setting is cut off and kept as the number that it is (contract: spec.md 5, 10). */
export function safekeepersOf(spec: ComputeSpec): Sourced<Safekeepers> {
  const path = "spec.safekeeper_connstrings";
  if (spec.safekeeper_connstrings.length > 0)
    return { value: { list: spec.safekeeper_connstrings.map(trim), generation: spec.safekeepers_generation }, path };
  if (spec.mode.kind !== "primary") return { value: { list: [], generation: null }, path };
  const setting = findSetting(spec, "neon.safekeepers");
  if (setting === null) throw new SpecResolutionError(path, "safekeeper connstrings should be provided");
  const generation = /^g#(\d+):/.exec(setting);
  return {
    value: {
      list: setting
        .slice(generation?.[0].length ?? 0)
        .split(",")
        .map(trim),
      generation: generation ? Number(generation[1]) : null,
    },
    path: settingPath(spec, "neon.safekeepers"),
  };
}

/** The walproposer takes blanks around an entry; the resolver of host names would not. */
function trim(entry: string): string {
  return entry.trim();
}

/** Step 3. */
export function tenantOf(spec: ComputeSpec): string {
  return identifierOf(spec, spec.tenant_id, "tenant");
}

/** Step 4. */
export function timelineOf(spec: ComputeSpec): string {
  return identifierOf(spec, spec.timeline_id, "timeline");
}

function identifierOf(spec: ComputeSpec, field: string | null, what: "tenant" | "timeline"): string {
  if (field !== null) return field;
  const name = `neon.${what}_id`;
  const setting = findSetting(spec, name);
  if (setting === null) throw new SpecResolutionError(`spec.${what}_id`, `${what} id should be provided`);
  if (!/^[0-9a-fA-F]{32}$/.test(setting)) throw new SpecResolutionError(settingPath(spec, name), `invalid ${what} id`);
  return setting.toLowerCase();
}

function ofConnectionInfo(info: PageserverConnectionInfo): ResolvedPageservers {
  return {
    shardCount: info.shard_count,
    stripeSize: info.stripe_size,
    preferProtocol: info.prefer_protocol,
    shards: shardIndexes(info.shard_count).flatMap((index) => {
      const shard = info.shards[index];
      if (!shard) return [];
      const pageservers = shard.pageservers.map(({ id, libpq_url, grpc_url }) => ({
        id,
        libpqUrl: libpq_url || null,
        grpcUrl: grpc_url || null,
      }));
      return [{ index, pageservers }];
    }),
  };
}

/** Split at every comma, nothing trimmed, empty pieces count. One piece is an unsharded tenant without stripes. */
function ofConnstring(connstring: string, stripeSize: number | null, path: string): ResolvedPageservers {
  const pieces = connstring.split(",");
  const sharded = pieces.length > 1;
  if (sharded && stripeSize === null) throw new SpecResolutionError(path, `${pieces.length} shards but no stripe_size`);
  if (pieces.length > 255) throw new SpecResolutionError(path, "out of range integral type conversion attempted");
  const shardCount = sharded ? pieces.length : 0;
  const indexes = shardIndexes(shardCount);
  return {
    shardCount,
    stripeSize: sharded ? stripeSize : null,
    preferProtocol: "libpq",
    shards: pieces.map((piece, number) => ({
      index: indexes[number] ?? "",
      pageservers: [{ id: null, libpqUrl: piece || null, grpcUrl: null }],
    })),
  };
}

/** Plain decimal digits only, although Postgres would also take `16MB` here. */
function stripeSizeSetting(spec: ComputeSpec): number | null {
  const text = findSetting(spec, "neon.stripe_size");
  if (text === null) return null;
  const path = settingPath(spec, "neon.stripe_size");
  if (text === "") throw new SpecResolutionError(path, "cannot parse integer from empty string");
  if (!/^\+?\d+$/.test(text)) throw new SpecResolutionError(path, "invalid digit found in string");
  const size = Number(text);
  if (size > 4_294_967_295) throw new SpecResolutionError(path, "number too large to fit in target type");
  return size;
}
