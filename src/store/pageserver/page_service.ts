import type { Metadata, Server, ServerUnaryCall, ServerWritableStream, sendUnaryData } from "@grpc/grpc-js";
import { CodedError, errorChain, errorCode } from "../../errors/coded_error.ts";
import type { Logger } from "../../telemetry/log.ts";
import {
  BASE_BACKUP_COMPRESSION,
  type GetBaseBackupRequest,
  type GetBaseBackupResponseChunk,
} from "../../wire/page_api/base_backup.ts";
import { type LeaseLsnRequest, type LeaseLsnResponse, timestampFromMillis } from "../../wire/page_api/lease_lsn.ts";
import { pageServiceDefinition } from "../../wire/page_api/page_service.ts";
import { parseId, parseShardIndex } from "../ids.ts";
import { formatListenAddress, type ListenAddress, listenFailure } from "../listen_address.ts";
import type { Store } from "../store.ts";
import { StoreError } from "../store_error.ts";
import type { Timeline } from "../timeline.ts";
import { type Claims, checkPermission, type TokenVerifier } from "../token.ts";

/** Greatest chunk of a base backup (contract: storage-protocols.md 3.1). */
const CHUNK = 256 * 1024;

/** gRPC status numbers; the library's own table would have to be loaded to be read. */
const STATUS = {
  CANCELLED: 1,
  INVALID_ARGUMENT: 3,
  NOT_FOUND: 5,
  PERMISSION_DENIED: 7,
  FAILED_PRECONDITION: 9,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;

export interface PageServiceOptions {
  readonly address: ListenAddress;
  readonly store: Store;
  readonly verify: TokenVerifier | undefined;
  readonly log: Logger;
}

/** The pageserver's gRPC listener (contract: storage-protocols.md 3). */
export class PageService {
  readonly #options: PageServiceOptions;
  readonly #server: Server;
  readonly #cut = new AbortController();

  private constructor(options: PageServiceOptions, server: Server) {
    this.#options = options;
    this.#server = server;
  }

  /** @throws StoreError `address_in_use` */
  static async listen(options: PageServiceOptions): Promise<{ server: PageService; address: ListenAddress }> {
    // A CommonJS package: in the bundle only its default export is there.
    const { default: grpc } = await import("@grpc/grpc-js");
    const { Server, ServerCredentials } = grpc;
    const server = new Server({
      "grpc.keepalive_time_ms": 30_000,
      "grpc.keepalive_timeout_ms": 20_000,
      "grpc.max_concurrent_streams": 256,
      // Two servers on one port would share its clients.
      "grpc.so_reuseport": 0,
    });
    const service = new PageService(options, server);
    server.addService(pageServiceDefinition, {
      GetBaseBackup: (call: ServerWritableStream<GetBaseBackupRequest, GetBaseBackupResponseChunk>) => {
        void service.#getBaseBackup(call);
      },
      LeaseLsn: (
        call: ServerUnaryCall<LeaseLsnRequest, LeaseLsnResponse>,
        callback: sendUnaryData<LeaseLsnResponse>,
      ) => {
        void service.#leaseLsn(call, callback);
      },
    });
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    server.bindAsync(formatListenAddress(options.address), ServerCredentials.createInsecure(), (error, port) => {
      if (error) reject(listenFailure(error, options.address, "grpc"));
      else resolve(port);
    });
    return { server: service, address: { host: options.address.host, port: await promise } };
  }

  /** Refuses newcomers and gives running calls until the deadline. Never rejects. */
  async stop(deadline: AbortSignal): Promise<void> {
    const cut = (): void => {
      this.#cut.abort(new StoreError("shutting_down", "the server stops"));
      this.#server.forceShutdown();
    };
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.tryShutdown(() => resolve());
    if (deadline.aborted) cut();
    else deadline.addEventListener("abort", cut, { once: true });
    await promise;
    deadline.removeEventListener("abort", cut);
  }

  async #getBaseBackup(call: ServerWritableStream<GetBaseBackupRequest, GetBaseBackupResponseChunk>): Promise<void> {
    const gone = new AbortController();
    call.on("cancelled", () => gone.abort(new CodedError("cancelled", "the client cancelled the call")));
    try {
      const timeline = await this.#timeline(call.metadata, "base backup");
      const { lsn, compression, replica } = call.request;
      if (compression !== BASE_BACKUP_COMPRESSION.none && compression !== BASE_BACKUP_COMPRESSION.gzip)
        throw new StoreError("bad_request", `invalid base backup compression ${compression}`);
      await this.#options.store.withBaseBackup(
        {
          timeline,
          lsn: lsn === 0n ? undefined : lsn,
          gzip: compression === BASE_BACKUP_COMPRESSION.gzip,
          replica,
          signal: AbortSignal.any([gone.signal, this.#cut.signal]),
        },
        async ({ data }) => {
          for await (const bytes of data)
            for (let at = 0; at < bytes.length; at += CHUNK)
              await write(call, bytes.subarray(at, at + CHUNK), gone.signal);
        },
      );
      call.end();
    } catch (error) {
      const status = statusOf(error);
      this.#options.log.warn("base backup failed", { error: errorChain(error), status: status.code });
      call.emit("error", status);
    }
  }

  async #leaseLsn(
    call: ServerUnaryCall<LeaseLsnRequest, LeaseLsnResponse>,
    callback: sendUnaryData<LeaseLsnResponse>,
  ): Promise<void> {
    try {
      const timeline = await this.#timeline(call.metadata);
      if (call.request.lsn === 0n) throw new StoreError("bad_request", "missing LSN");
      const until = this.#options.store.leases.take(timeline, call.request.lsn);
      if (until === undefined)
        throw new CodedError("lease_refused", "lease could not be obtained, LSN is behind the GC cutoff");
      callback(null, { expires: timestampFromMillis(until) });
    } catch (error) {
      callback(statusOf(error));
    }
  }

  /** Who may have what, from a call's metadata. `zeroOnly` names what only the first shard of a tenant gives. */
  async #timeline(metadata: Metadata, zeroOnly?: string): Promise<Timeline> {
    const tenantId = idOf(metadata, "neon-tenant-id");
    const timelineId = idOf(metadata, "neon-timeline-id");
    const text = headerOf(metadata, "neon-shard-id");
    const shard = parseShardIndex(text);
    if (!shard) throw new StoreError("bad_request", "invalid neon-shard-id");
    checkPermission(await this.#claims(metadata), tenantId, "pageserver");
    if (zeroOnly !== undefined && shard.shardNumber !== 0)
      throw new StoreError("bad_request", `request only valid on shard zero (requested shard ${text})`);
    if (shard.shardCount !== 0) throw new StoreError("tenant_not_found", `tenant ${tenantId} has no shards`);
    return this.#options.store.tenants.timeline(tenantId, timelineId);
  }

  async #claims(metadata: Metadata): Promise<Claims | undefined> {
    const { verify } = this.#options;
    if (!verify) return undefined;
    const [header] = metadata.get("authorization");
    if (header === undefined) throw new CodedError("no_token", "no authorization header");
    const token = /^Bearer (\S+)$/.exec(String(header))?.[1];
    if (token === undefined) throw new StoreError("bad_request", "invalid authorization header");
    try {
      return await verify(token);
    } catch (error) {
      throw new StoreError("bad_request", "invalid JWT token", error);
    }
  }
}

async function write(
  call: ServerWritableStream<GetBaseBackupRequest, GetBaseBackupResponseChunk>,
  chunk: Buffer,
  gone: AbortSignal,
): Promise<void> {
  gone.throwIfAborted();
  if (call.write({ chunk })) return;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onGone = (): void => reject(gone.reason as Error);
  call.once("drain", resolve);
  gone.addEventListener("abort", onGone, { once: true });
  try {
    await promise;
  } finally {
    call.off("drain", resolve);
    gone.removeEventListener("abort", onGone);
  }
}

function headerOf(metadata: Metadata, name: string): string {
  const [value] = metadata.get(name);
  if (value === undefined) throw new StoreError("bad_request", `missing ${name}`);
  return String(value);
}

function idOf(metadata: Metadata, name: string): string {
  const id = parseId(headerOf(metadata, name));
  if (id === undefined) throw new StoreError("bad_request", `invalid ${name}`);
  return id;
}

/** contract: storage-protocols.md 3.3 */
function statusOf(error: unknown): { code: number; details: string; name: string; message: string } {
  const [status, details] = classify(error);
  return { code: STATUS[status], details, name: status, message: details };
}

function classify(error: unknown): [keyof typeof STATUS, string] {
  const text = errorChain(error);
  switch (errorCode(error)) {
    case "bad_request":
      return ["INVALID_ARGUMENT", text];
    case "lsn_below_cutoff":
      return ["INVALID_ARGUMENT", `invalid basebackup LSN: ${text}`];
    case "tenant_not_found":
    case "timeline_not_found":
      return ["NOT_FOUND", text];
    case "no_token":
      return ["UNAUTHENTICATED", text];
    case "unauthorized":
      return ["PERMISSION_DENIED", text];
    case "lease_refused":
      return ["FAILED_PRECONDITION", text];
    case "shutting_down":
      return ["UNAVAILABLE", text];
    case "cancelled":
      return ["CANCELLED", text];
    default:
      return ["INTERNAL", text];
  }
}
