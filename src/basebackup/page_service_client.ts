import type { Client, ClientReadableStream, Metadata, ServiceError } from "@grpc/grpc-js";
import { CodedError } from "../errors/coded_error.ts";
import type { Lsn } from "../wire/lsn.ts";
import { BASE_BACKUP_COMPRESSION, type GetBaseBackupResponseChunk } from "../wire/page_api/base_backup.ts";
import { type LeaseLsnResponse, timestampToMillis } from "../wire/page_api/lease_lsn.ts";
import { pageServiceDefinition } from "../wire/page_api/page_service.ts";

type Grpc = typeof import("@grpc/grpc-js");

export interface PageServiceOptions {
  /** `grpc://[user@]host:port`; the user is ignored (contract: storage-protocols.md 3.1). */
  readonly url: string;
  readonly tenantId: string;
  readonly timelineId: string;
  /** Four hex digits. */
  readonly shardIndex: string;
  readonly token: string | undefined;
  readonly connectTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly signal: AbortSignal;
}

/** A call that ended with a status other than OK. `code` is `grpc_` and the status' name, such as `grpc_not_found`. */
export class PageServiceError extends CodedError {}

/**
 * A pageserver's gRPC service, as far as a compute that starts needs it. Messages are not compressed: the backup itself
 * is. Errors: {@link PageServiceError}, `invalid_grpc_url`, `connect_timeout`, `read_timeout`, or the signal's reason.
 */
export class PageServiceClient {
  readonly #grpc: Grpc;
  readonly #client: Client;
  readonly #options: PageServiceOptions;

  private constructor(grpc: Grpc, options: PageServiceOptions) {
    this.#grpc = grpc;
    this.#options = options;
    this.#client = new grpc.Client(grpcTarget(options.url), grpc.credentials.createInsecure(), {
      // A storage server is never behind a proxy, and a retry would hide what our own retries report.
      "grpc.enable_http_proxy": 0,
      "grpc.enable_retries": 0,
      // One channel per client: what `close` ends is ours alone.
      "grpc.use_local_subchannel_pool": 1,
      "grpc-node.flow_control_window": 4 * 1024 * 1024,
    });
  }

  static async connect(options: PageServiceOptions): Promise<PageServiceClient> {
    // A CommonJS package: in the bundle only its default export is there.
    const { default: grpc } = await import("@grpc/grpc-js");
    options.signal.throwIfAborted();
    const client = new PageServiceClient(grpc, options);
    try {
      await client.#ready();
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /** The bytes of a base backup; ends normally only when the stream ended with status OK (contract: storage-protocols.md 3.3). */
  async *baseBackup(request: { lsn: Lsn; replica: boolean; gzip: boolean }): AsyncGenerator<Buffer, void, void> {
    const { path, requestSerialize, responseDeserialize } = pageServiceDefinition.GetBaseBackup;
    const compression = request.gzip ? BASE_BACKUP_COMPRESSION.gzip : BASE_BACKUP_COMPRESSION.none;
    const call: ClientReadableStream<GetBaseBackupResponseChunk> = this.#client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      { lsn: request.lsn, replica: request.replica, full: false, compression },
      this.#metadata(),
    );
    // Cancelling also ends in an error event, maybe after the last reader has gone.
    call.on("error", () => undefined);
    const watch = this.#watch(() => call.cancel());
    try {
      const chunks = call[Symbol.asyncIterator]();
      for (;;) {
        watch.waiting();
        const next = await chunks.next();
        watch.busy();
        if (next.done) return;
        yield (next.value as GetBaseBackupResponseChunk).chunk;
      }
    } catch (error) {
      throw watch.reason() ?? this.#statusError(error);
    } finally {
      watch.stop();
      call.cancel();
    }
  }

  /** Until when the lease holds, or null when it was refused (FAILED_PRECONDITION; contract: storage-protocols.md 4). */
  async leaseLsn(lsn: Lsn): Promise<Date | null> {
    const { path, requestSerialize, responseDeserialize } = pageServiceDefinition.LeaseLsn;
    let cancel = (): void => undefined;
    const watch = this.#watch(() => cancel());
    watch.waiting();
    try {
      const { expires } = await new Promise<LeaseLsnResponse>((resolve, reject) => {
        const call = this.#client.makeUnaryRequest(
          path,
          requestSerialize,
          responseDeserialize,
          { lsn },
          this.#metadata(),
          (error, response) => {
            if (error) reject(error);
            else if (response) resolve(response);
            else reject(new CodedError("protocol_violation", "LeaseLsn was answered with nothing"));
          },
        );
        cancel = () => call.cancel();
      });
      if (!expires) throw new CodedError("protocol_violation", "the lease has no end");
      return new Date(timestampToMillis(expires));
    } catch (error) {
      if (isServiceError(error) && error.code === this.#grpc.status.FAILED_PRECONDITION) return null;
      throw watch.reason() ?? this.#statusError(error);
    } finally {
      watch.stop();
    }
  }

  close(): void {
    this.#client.close();
  }

  #metadata(): Metadata {
    const { tenantId, timelineId, shardIndex, token } = this.#options;
    const metadata = new this.#grpc.Metadata();
    metadata.set("neon-tenant-id", tenantId);
    metadata.set("neon-timeline-id", timelineId);
    metadata.set("neon-shard-id", shardIndex);
    if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);
    return metadata;
  }

  /** Waits for the connection. A refused one is not waited for: the call that follows reports why. */
  async #ready(): Promise<void> {
    const { connectivityState } = this.#grpc;
    const channel = this.#client.getChannel();
    const { connectTimeoutMs, signal, url } = this.#options;
    const deadline = Date.now() + connectTimeoutMs;
    const settled: number[] = [
      connectivityState.READY,
      connectivityState.TRANSIENT_FAILURE,
      connectivityState.SHUTDOWN,
    ];
    for (let state = channel.getConnectivityState(true); !settled.includes(state); ) {
      const was = state;
      await new Promise<void>((resolve, reject) => {
        const abort = (): void => reject(signal.reason as Error);
        signal.addEventListener("abort", abort, { once: true });
        channel.watchConnectivityState(was, deadline, (error) => {
          signal.removeEventListener("abort", abort);
          if (error)
            reject(new CodedError("connect_timeout", `no connection to ${hostOf(url)} within ${connectTimeoutMs} ms`));
          else resolve();
        });
      });
      state = channel.getConnectivityState(true);
    }
  }

  /** Cancels a call that stays silent for too long or whose owner gave up, and remembers why. */
  #watch(cancel: () => void): { waiting(): void; busy(): void; reason(): Error | undefined; stop(): void } {
    const { idleTimeoutMs, signal } = this.#options;
    let reason: Error | undefined;
    let waiting = false;
    const give = (error: Error): void => {
      reason ??= error;
      cancel();
    };
    const abort = (): void => give(signal.reason as Error);
    const timer = setTimeout(() => {
      if (waiting) give(new CodedError("read_timeout", `the server sent nothing for ${idleTimeoutMs} ms`));
    }, idleTimeoutMs);
    signal.addEventListener("abort", abort, { once: true });
    return {
      waiting: () => {
        waiting = true;
        timer.refresh();
        if (signal.aborted) abort();
      },
      busy: () => {
        waiting = false;
      },
      reason: () => reason,
      stop: () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", abort);
      },
    };
  }

  #statusError(error: unknown): unknown {
    if (!isServiceError(error)) return error;
    const name = this.#grpc.status[error.code] ?? String(error.code);
    return new PageServiceError(`grpc_${name.toLowerCase()}`, `${name}: ${error.details}`, { status: 502 });
  }
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "details" in error && "code" in error && typeof error.code === "number";
}

/** `host:port` of a `grpc://` URL. Throws `invalid_grpc_url`. */
export function grpcTarget(url: string): string {
  const match = /^grpc:\/\/(?:[^@/?#]*@)?(\[[0-9a-fA-F:.]+\]|[^@:/?#[\]]+):(\d{1,5})\/?$/.exec(url);
  if (!match) throw new CodedError("invalid_grpc_url", "a gRPC URL looks like grpc://host:port", { status: 400 });
  return `dns:${match[1]}:${match[2]}`;
}

function hostOf(url: string): string {
  return grpcTarget(url).slice("dns:".length);
}
