import { CodedError } from "../errors/coded_error.ts";
import type { ResolvedSpec } from "../spec/resolved_spec.ts";
import { http } from "../wire/node_http.ts";

/** The original waits for ever, and shows a cache as being saved that never will be (contract: http-api.md B23). */
const LIMIT_MS = 60_000;

/** Where the state of a local file cache is kept (contract: lifecycle.md 12.2). */
export interface CacheStateLocation {
  readonly url: string;
  readonly token: string;
}

/**
 * @param fromEndpoint whose state; null means the compute's own
 * @throws CodedError `endpoint_storage_unknown`, naming what the spec lacks
 */
export function cacheStateLocation(resolved: ResolvedSpec, fromEndpoint: string | null): CacheStateLocation {
  const missing = (what: string): CodedError => new CodedError("endpoint_storage_unknown", what);
  const endpoint = fromEndpoint ?? resolved.spec.endpoint_id;
  if (endpoint === null) throw missing("pspec.endpoint_id missing, other endpoint_id not provided");
  const { endpointStorageAddr: address, endpointStorageToken: token, tenantId, timelineId } = resolved;
  if (address === null) throw missing("pspec.endpoint_storage_addr missing");
  if (token === null) throw missing("pspec.endpoint_storage_token missing");
  return { url: `http://${address}/${tenantId}/${timelineId}/${encodeURIComponent(endpoint)}/lfc_state`, token };
}

/** The saved state as it lies there; undefined when there is none. */
export async function downloadCacheState(
  location: CacheStateLocation,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  const answer = await ask(location, { method: "GET" }, signal);
  if (answer.status === 200) return Buffer.from(await answer.arrayBuffer());
  await answer.body?.cancel();
  if (answer.status === 404) return undefined;
  throw new CodedError("endpoint_storage_status", `${statusOf(answer)} querying endpoint storage`);
}

export async function uploadCacheState(
  location: CacheStateLocation,
  state: Buffer,
  signal: AbortSignal,
): Promise<void> {
  const answer = await ask(location, { method: "PUT", body: new Uint8Array(state) }, signal);
  await answer.body?.cancel();
  if (answer.status !== 200)
    throw new CodedError("endpoint_storage_status", `request to endpoint storage failed: ${statusOf(answer)}`);
}

async function ask({ url, token }: CacheStateLocation, init: RequestInit, signal: AbortSignal): Promise<Response> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)]);
  return await fetch(url, { ...init, headers: { authorization: `Bearer ${token}` }, signal: limit });
}

function statusOf({ status }: Response): string {
  return `${status} ${http.STATUS_CODES[status] ?? ""}`.trim();
}
