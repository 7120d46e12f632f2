import { CodedError } from "../errors/coded_error.ts";
import type { PageserverEndpoint } from "../spec/connection.ts";
import { formatLsn, type Lsn } from "../wire/lsn.ts";
import type { StorageLimits } from "./pageserver_connection.ts";

export interface LeaseRequest {
  readonly tenantId: string;
  readonly timelineId: string;
  readonly lsn: Lsn;
  readonly token: string | undefined;
  readonly limits?: StorageLimits;
  readonly signal: AbortSignal;
}

/** A lease is answered from memory: nobody has to wait for minutes. */
const LEASE_LIMITS: StorageLimits = { connectTimeoutMs: 10_000, idleTimeoutMs: 30_000 };

/**
 * Asks every pageserver of every shard in turn for a lease on one LSN (contract: storage-protocols.md 4, lifecycle.md 9).
 *
 * @returns the earliest end of all leases, or null as soon as one was refused
 */
export async function requestLeases(
  pageservers: readonly Pick<PageserverEndpoint, "protocol" | "url" | "shardIndex">[],
  request: LeaseRequest,
): Promise<Date | null> {
  let earliest: Date | undefined;
  for (const endpoint of pageservers) {
    const until = await (endpoint.protocol === "grpc" ? leaseByGrpc : leaseByLibpq)(endpoint, request);
    if (until === null) return null;
    if (earliest === undefined || until < earliest) earliest = until;
  }
  if (earliest === undefined) throw new CodedError("no_pageserver_url", "there is no pageserver to ask for a lease");
  return earliest;
}

type Endpoint = Pick<PageserverEndpoint, "url" | "shardIndex">;

async function leaseByLibpq(endpoint: Endpoint, request: LeaseRequest): Promise<Date | null> {
  const { LibpqSession } = await import("./libpq_session.ts");
  const session = await LibpqSession.connect({
    ...(request.limits ?? LEASE_LIMITS),
    connectionString: endpoint.url,
    password: request.token,
    applicationName: "compute_ctl",
    signal: request.signal,
  });
  try {
    const { columns, rows } = await session.query(leaseCommand(endpoint.shardIndex, request));
    const value = rows[0]?.[columns.indexOf("valid_until")];
    if (value === null) return null;
    if (value === undefined || !/^\d{1,15}$/.test(value))
      throw new CodedError("protocol_violation", "the answer to lease lsn has no valid_until");
    return new Date(Number(value));
  } finally {
    session.close();
  }
}

/** `lease lsn <tenant>[-<NNCC>] <timeline> <lsn>`; the shard is named only when the tenant is sharded. */
export function leaseCommand(
  shardIndex: string,
  request: Pick<LeaseRequest, "tenantId" | "timelineId" | "lsn">,
): string {
  const tenant = shardIndex.endsWith("00") ? request.tenantId : `${request.tenantId}-${shardIndex}`;
  return `lease lsn ${tenant} ${request.timelineId} ${formatLsn(request.lsn)}`;
}

async function leaseByGrpc(endpoint: Endpoint, request: LeaseRequest): Promise<Date | null> {
  const { PageServiceClient } = await import("./page_service_client.ts");
  const client = await PageServiceClient.connect({
    ...(request.limits ?? LEASE_LIMITS),
    url: endpoint.url,
    tenantId: request.tenantId,
    timelineId: request.timelineId,
    shardIndex: endpoint.shardIndex,
    token: request.token,
    signal: request.signal,
  });
  try {
    return await client.leaseLsn(request.lsn);
  } finally {
    client.close();
  }
}
