import { CodedError } from "../errors/coded_error.ts";
import type { PageserverProtocol } from "./pageservers.ts";
import type { ResolvedPageserver, ResolvedSpec } from "./resolved_spec.ts";
import type { ComputeSpec } from "./schema.ts";

/** Where to ask for something that both protocols have. */
export interface PageserverEndpoint {
  readonly shardIndex: string;
  readonly protocol: PageserverProtocol;
  readonly url: string;
  /** The preferred protocol has no URL here: worth a warning. */
  readonly fellBack: boolean;
}

/**
 * The first pageserver of shard 0, by the preferred protocol, else by the other one (contract: spec.md 6.1, 10).
 *
 * @throws CodedError `no_pageserver_url`, such as `no grpc_url for shard 0000`, when it has neither
 */
export function baseBackupEndpoint(resolved: Pick<ResolvedSpec, "pageservers">): PageserverEndpoint {
  const shard = resolved.pageservers.shards[0];
  return endpointOf(resolved, shard?.index ?? "0000", shard?.pageservers[0]);
}

/**
 * Every pageserver of every shard, for LSN leases (contract: spec.md 6.1).
 *
 * @throws CodedError `no_pageserver_url` when one of them has no URL at all
 */
export function allPageservers(resolved: Pick<ResolvedSpec, "pageservers">): PageserverEndpoint[] {
  return resolved.pageservers.shards.flatMap((shard) =>
    shard.pageservers.map((pageserver) => endpointOf(resolved, shard.index, pageserver)),
  );
}

function endpointOf(
  { pageservers: { preferProtocol } }: Pick<ResolvedSpec, "pageservers">,
  shardIndex: string,
  pageserver: ResolvedPageserver | undefined,
): PageserverEndpoint {
  const urls = { libpq: pageserver?.libpqUrl ?? null, grpc: pageserver?.grpcUrl ?? null };
  const preferred = urls[preferProtocol];
  if (preferred !== null) return { shardIndex, protocol: preferProtocol, url: preferred, fellBack: false };
  const protocol = preferProtocol === "grpc" ? "libpq" : "grpc";
  const url = urls[protocol];
  if (url !== null) return { shardIndex, protocol, url, fellBack: true };
  throw new CodedError("no_pageserver_url", `no ${preferProtocol}_url for shard ${shardIndex}`);
}

/** `neon.stripe_size`; stands before the connection string in the file (contract: spec.md 6.2 a). */
export function stripeSizeGuc(spec: ComputeSpec): number | null {
  return spec.pageserver_connection_info === null
    ? spec.shard_stripe_size
    : spec.pageserver_connection_info.stripe_size;
}

/**
 * `neon.pageserver_connstring`: the libpq URLs of the shards' first pageservers, or the older field as it is. Null when a
 * shard has no libpq URL, and when the settings carry the value (contract: spec.md 6.2 b).
 */
export function pageserverConnstringGuc(resolved: Pick<ResolvedSpec, "spec" | "pageservers">): string | null {
  if (resolved.spec.pageserver_connection_info === null) return resolved.spec.pageserver_connstring;
  const urls = resolved.pageservers.shards.map((shard) => shard.pageservers[0]?.libpqUrl ?? null);
  return urls.includes(null) ? null : urls.join(",");
}

/** `neon.safekeepers`: the list field behind its generation; null when that field is empty (contract: spec.md 6.2). */
export function safekeepersGuc(
  spec: Pick<ComputeSpec, "safekeeper_connstrings" | "safekeepers_generation">,
): string | null {
  if (spec.safekeeper_connstrings.length === 0) return null;
  const generation = spec.safekeepers_generation === null ? "" : `g#${spec.safekeepers_generation}:`;
  return generation + spec.safekeeper_connstrings.join(",");
}
