import { promisify } from "node:util";
import { zstdCompress, zstdDecompress } from "node:zlib";
import { CodedError, errorChain } from "../errors/coded_error.ts";
import type {
  LocalFileCacheApi,
  OffloadFigures,
  OffloadState,
  PrewarmFigures,
  PrewarmState,
} from "../http/local_file_cache_api.ts";
import { APPLICATION_NAMES, type Connect, type Session, withSession } from "../reconcile/session.ts";
import type { ResolvedSpec } from "../spec/resolved_spec.ts";
import type { ComputeMetrics } from "../telemetry/compute_metrics.ts";
import type { Logger } from "../telemetry/log.ts";
import { cacheStateLocation, downloadCacheState, uploadCacheState } from "./endpoint_storage.ts";

export interface LocalFileCacheOptions {
  /** A stock server has no such cache: everything asked for is skipped (contract: http-api.md 13.1). */
  readonly kind: "neon" | "stock";
  readonly spec: () => ResolvedSpec | null;
  readonly connect: Connect;
  readonly database: string;
  readonly metrics: Pick<ComputeMetrics, "prewarms" | "prewarmErrors" | "offloads" | "offloadErrors">;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/**
 * Saves what Neon's Postgres has in its local file cache to the endpoint storage, and loads it again (contract: http-api.md
 * 7.12, 7.13). One prewarm and one offload at a time, in the background.
 */
export class LocalFileCache implements LocalFileCacheApi {
  readonly #options: LocalFileCacheOptions;
  #prewarm: PrewarmState = { status: "not_prewarmed" };
  #offload: OffloadState = { status: "not_offloaded" };
  #cancel: AbortController | undefined;

  constructor(options: LocalFileCacheOptions) {
    this.#options = options;
  }

  get prewarmState(): PrewarmState {
    return this.#prewarm;
  }

  get offloadState(): OffloadState {
    return this.#offload;
  }

  startPrewarm(fromEndpoint: string | null): boolean {
    if (this.#prewarm.status === "prewarming") return false;
    const { metrics, signal } = this.#options;
    metrics.prewarms.inc();
    this.#prewarm = { status: "prewarming" };
    const cancel = new AbortController();
    this.#cancel = cancel;
    void this.#runPrewarm(fromEndpoint, AbortSignal.any([cancel.signal, signal])).then((state) => {
      this.#prewarm = cancel.signal.aborted ? { status: "cancelled" } : state;
      this.#cancel = undefined;
    });
    return true;
  }

  cancelPrewarm(): void {
    this.#cancel?.abort(new CodedError("prewarm_cancelled", "the prewarm was cancelled"));
  }

  startOffload(): boolean {
    if (this.#offload.status === "offloading") return false;
    this.#options.metrics.offloads.inc();
    this.#offload = { status: "offloading" };
    void this.#runOffload().then((state) => {
      this.#offload = state;
    });
    return true;
  }

  /** An incomplete state would replace a good one (contract: lifecycle.md 12.2). */
  get mayOffloadByItself(): boolean {
    return !["prewarming", "failed", "cancelled"].includes(this.#prewarm.status);
  }

  async #runPrewarm(fromEndpoint: string | null, signal: AbortSignal): Promise<PrewarmState> {
    const { metrics, log } = this.#options;
    try {
      const figures = await this.#load(this.#resolved(), fromEndpoint, signal);
      return figures === undefined ? { status: "skipped" } : { status: "completed", ...figures };
    } catch (error) {
      if (signal.aborted) return { status: "cancelled" };
      metrics.prewarmErrors.inc();
      log.error(`could not prewarm the local file cache: ${errorChain(error)}`);
      return { status: "failed", error: errorChain(error) };
    }
  }

  async #load(
    resolved: ResolvedSpec,
    fromEndpoint: string | null,
    signal: AbortSignal,
  ): Promise<PrewarmFigures | undefined> {
    if (this.#options.kind === "stock") return undefined;
    const lap = stopwatch();
    const packed = await downloadCacheState(cacheStateLocation(resolved, fromEndpoint), signal);
    if (packed === undefined) return undefined;
    const state_download_time_ms = lap();
    const state = await promisify(zstdDecompress)(packed);
    signal.throwIfAborted();
    const uncompress_time_ms = lap();
    const pages = await this.#inSession((session) => prewarmPages(session, state, signal, this.#options));
    return { ...pages, state_download_time_ms, uncompress_time_ms, prewarm_time_ms: lap() };
  }

  async #runOffload(): Promise<OffloadState> {
    const { metrics, log } = this.#options;
    try {
      const figures = await this.#save(this.#resolved());
      return figures === undefined ? { status: "skipped" } : { status: "completed", ...figures };
    } catch (error) {
      metrics.offloadErrors.inc();
      log.error(`could not offload the local file cache state: ${errorChain(error)}`);
      return { status: "failed", error: errorChain(error) };
    }
  }

  async #save(resolved: ResolvedSpec): Promise<OffloadFigures | undefined> {
    if (this.#options.kind === "stock") return undefined;
    const location = cacheStateLocation(resolved, null);
    const lap = stopwatch();
    const state = await this.#inSession(async (session) => {
      const [row] = await session.query<{ state: Buffer | null }>("SELECT neon.get_local_cache_state() AS state");
      return row?.state ?? null;
    });
    if (state === null) return undefined;
    const state_query_time_ms = lap();
    const packed = await promisify(zstdCompress)(state);
    const compress_time_ms = lap();
    await uploadCacheState(location, packed, this.#options.signal);
    return { state_query_time_ms, compress_time_ms, state_upload_time_ms: lap() };
  }

  #resolved(): ResolvedSpec {
    const resolved = this.#options.spec();
    if (resolved === null) throw new CodedError("no_spec", "there is no spec yet");
    return resolved;
  }

  async #inSession<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const { connect, database } = this.#options;
    return await withSession(connect, database, APPLICATION_NAMES.reconcile, work);
  }
}

interface PrewarmedPages {
  readonly total: number;
  readonly prewarmed: number;
  readonly skipped: number;
}

/** What was loaded until a cancel stays loaded. */
async function prewarmPages(
  session: Session,
  state: Buffer,
  signal: AbortSignal,
  { connect, database }: LocalFileCacheOptions,
): Promise<PrewarmedPages> {
  const cancel = (): void =>
    void withSession(connect, database, APPLICATION_NAMES.reconcile, (other) =>
      other.query("SELECT pg_cancel_backend($1)", [session.processId]),
    ).catch(() => undefined);
  signal.addEventListener("abort", cancel, { once: true });
  try {
    signal.throwIfAborted();
    await session.query("SELECT neon.prewarm_local_cache($1)", [state]);
  } finally {
    signal.removeEventListener("abort", cancel);
  }
  const [row] = await session.query<PrewarmedPages>(
    `SELECT total_pages::int4 AS total, prewarmed_pages::int4 AS prewarmed, skipped_pages::int4 AS skipped
     FROM neon.get_prewarm_info() AS info(total_pages, prewarmed_pages, skipped_pages)`,
  );
  if (row === undefined) throw new CodedError("no_prewarm_info", "neon.get_prewarm_info() gave no row");
  return row;
}

/** Whole milliseconds since the last call, or since it was made. */
function stopwatch(): () => number {
  let last = performance.now();
  return () => {
    const now = performance.now();
    const elapsed = Math.round(now - last);
    last = now;
    return elapsed;
  };
}
