import type { ResolvedSpec } from "../spec/resolved_spec.ts";
import type { StartupMetrics } from "../telemetry/startup_metrics.ts";
import type { ComputeStatus } from "./compute_status.ts";

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

/**
 * What the HTTP servers need of the compute node. Methods throw {@link CodedError}s whose status is the answer's.
 */
export interface ComputeApi {
  /** Never waits for work in progress. */
  report(): ComputeReport;
  startupMetrics(): StartupMetrics;
  /** The Prometheus page. */
  metricsText(): Promise<string>;
  /** Stores a spec and waits until it is in force (status `running`) or failed; 412 in a state that takes none. */
  configure(spec: ResolvedSpec): Promise<void>;
  /** Stops Postgres and waits until that is done; 412 in a state that cannot be terminated. */
  terminate(mode: TerminateMode): Promise<TerminateOutcome>;
}
