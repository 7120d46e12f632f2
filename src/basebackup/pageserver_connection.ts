import { performance } from "node:perf_hooks";
import type { PageserverEndpoint } from "../spec/connection.ts";
import type { Lsn } from "../wire/lsn.ts";
import { type BaseBackupRequest, baseBackupCommand, computeModeOption, requestedLsn } from "./command.ts";

/** The parameter by which `neon-store` makes itself known when a session begins. */
const EMBEDDED_STORE = "neon_store_version";

/** How long storage may take. */
export interface StorageLimits {
  /** Until there is a session: TCP, start-up and authentication. */
  readonly connectTimeoutMs: number;
  /** Longest silence of the server inside an answer. A pageserver itself waits up to 300 s for an LSN. */
  readonly idleTimeoutMs: number;
}

/** Upstream has no limits at all; these outlast everything that a healthy server does (contract: storage-protocols.md 1.6). */
const STORAGE_LIMITS: StorageLimits = { connectTimeoutMs: 10_000, idleTimeoutMs: 330_000 };

export interface DialOptions {
  readonly endpoint: Pick<PageserverEndpoint, "protocol" | "url" | "shardIndex">;
  readonly tenantId: string;
  readonly timelineId: string;
  readonly mode: BaseBackupRequest["mode"];
  /** `storage_auth_token` of the spec. */
  readonly token: string | undefined;
  readonly limits?: StorageLimits;
  readonly signal: AbortSignal;
}

/** A session with shard 0's pageserver, good for one base backup. */
export interface PageserverConnection {
  /** Microseconds that it took to get here. */
  readonly connectMicros: number;
  /** Asked for the plain tar, this server is faster than with compression. */
  readonly prefersPlain: boolean;
  /** Bytes of the backup; ends normally only when the server said that it is whole. `lsn` `0n`: the latest. */
  baseBackup(lsn: Lsn, gzip: boolean): AsyncIterable<Buffer>;
  /** Safe to call more than once and at any time. */
  close(): void;
}

/**
 * Connects to a pageserver over either protocol. May be called before the LSN is known, while the safekeepers are still
 * being asked. Errors: those of `LibpqSession.connect` and of `openPageService`.
 */
export async function dialPageserver(options: DialOptions): Promise<PageserverConnection> {
  const started = performance.now();
  const connection = options.endpoint.protocol === "grpc" ? await dialGrpc(options) : await dialLibpq(options);
  return { ...connection, connectMicros: Math.round((performance.now() - started) * 1000) };
}

async function dialLibpq(options: DialOptions): Promise<Omit<PageserverConnection, "connectMicros">> {
  const { LibpqSession } = await import("./libpq_session.ts");
  const session = await LibpqSession.connect({
    ...(options.limits ?? STORAGE_LIMITS),
    connectionString: options.endpoint.url,
    password: options.token,
    applicationName: "compute_ctl",
    options: computeModeOption(options.mode),
    signal: options.signal,
  });
  return {
    // A real pageserver is always asked as the original asks it; compressing for a peer on this machine costs more than it saves.
    prefersPlain: session.isLocal && session.parameters.has(EMBEDDED_STORE),
    baseBackup: (lsn, gzip) => session.copyOut(baseBackupCommand({ ...options, lsn, gzip })),
    close: () => session.close(),
  };
}

async function dialGrpc(options: DialOptions): Promise<Omit<PageserverConnection, "connectMicros">> {
  const { PageServiceClient } = await import("./page_service_client.ts");
  const client = await PageServiceClient.connect({
    ...(options.limits ?? STORAGE_LIMITS),
    url: options.endpoint.url,
    tenantId: options.tenantId,
    timelineId: options.timelineId,
    shardIndex: options.endpoint.shardIndex,
    token: options.token,
    signal: options.signal,
  });
  return {
    prefersPlain: false,
    baseBackup: (lsn, gzip) =>
      client.baseBackup({ lsn: requestedLsn({ mode: options.mode, lsn }), replica: options.mode !== "primary", gzip }),
    close: () => client.close(),
  };
}
