import type { ResolvedSpec } from "../spec/resolved_spec.ts";
import type { StageTiming } from "../telemetry/stage.ts";
import type { StartupMetrics } from "../telemetry/startup_metrics.ts";
import type { Lsn } from "../wire/lsn.ts";
import type { ComputeStatus } from "./compute_status.ts";
import type { LocalFileCacheApi } from "./local_file_cache_api.ts";
import type { PostgresAccess } from "./postgres_access.ts";
import type { ReconcileReport } from "./routes/reconcile.ts";

/** What `/status` reports (contract: http-api.md 7.1). */
export interface ComputeReport {
  /** When the process had its configuration; the moment the first spec arrived on a compute that began empty. */
  readonly startTime: Date;
  /** Lower-case hex of the last accepted spec. */
  readonly tenant: string | null;
  readonly timeline: string | null;
  readonly status: ComputeStatus;
  readonly lastActive: Date | null;
  readonly error: string | null;
}

export type TerminateMode = "fast" | "immediate";

export interface TerminateOutcome {
  /** True when the compute was terminated before this call: answered with 201. */
  readonly repeated: boolean;
  /** LSN text up to which a primary's WAL is in storage; null for every other mode. */
  readonly lsn: string | null;
}

/** How long the steps of a promotion took, in milliseconds. */
export interface PromotionTimings {
  readonly lsnWaitMs: number;
  readonly promoteMs: number;
  readonly reconfigureMs: number;
}

/** What `GET /events` tells. */
export type ComputeEvent =
  | {
      readonly kind: "status";
      readonly at: Date;
      readonly status: ComputeStatus;
      readonly error: string | null;
    }
  | { readonly kind: "stage"; readonly timing: StageTiming };

/**
 * What the HTTP servers need of the compute node. Methods throw {@link CodedError}s whose status is the answer's.
 */
export interface ComputeApi {
  /** Never waits for work in progress. */
  report(): ComputeReport;
  startupMetrics(): StartupMetrics;
  /** What became of roles and databases at the last look; null before the first. */
  lastReconcile(): ReconcileReport | null;
  /** The Prometheus page. */
  metricsText(): Promise<string>;
  /** Stores a spec and waits until it is in force (status `running`) or failed; 412 in a state that takes none. */
  configure(spec: ResolvedSpec): Promise<void>;
  /** Stops Postgres and waits until that is done; 412 in a state that cannot be terminated. */
  terminate(mode: TerminateMode): Promise<TerminateOutcome>;
  /** Has the config fetched again in the background; 500 in a state that does not. Counts every call. */
  refresh(): void;
  /** Makes a replica the primary that the spec describes. */
  promote(spec: ResolvedSpec, walFlushLsn: Lsn): Promise<PromotionTimings>;
  /** 412 unless the compute runs. */
  requireRunning(): void;
  /** Why it could not take a commit now, in a few words without secrets; null when it could. */
  notReady(): string | null;
  /** What happened so far, oldest first: all stages, and the latest status. */
  events(): readonly ComputeEvent[];
  /** Tells every event from now on until the returned function is called. */
  onEvent(listener: (event: ComputeEvent) => void): () => void;
  /** Installs one file's extension. */
  downloadExtension(file: ExtensionFile): Promise<void>;
  readonly postgres: PostgresAccess;
  readonly localFileCache: LocalFileCacheApi;
}

/** A file that a backend misses. */
export interface ExtensionFile {
  /** Name of an extension, or of a library file relative to the library directory. */
  readonly name: string;
  readonly isLibrary: boolean;
}
