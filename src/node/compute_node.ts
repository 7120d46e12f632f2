import { isDeepStrictEqual } from "node:util";
import { CodedError } from "../errors/coded_error.ts";
import { orAborted } from "../errors/or_aborted.ts";
import type {
  ComputeApi,
  ComputeEvent,
  ComputeReport,
  ExtensionFile,
  PromotionTimings,
  TerminateMode,
  TerminateOutcome,
} from "../http/compute_api.ts";
import { statusText } from "../http/compute_status.ts";
import type { LocalFileCacheApi } from "../http/local_file_cache_api.ts";
import type { PostgresAccess } from "../http/postgres_access.ts";
import type { ReconcileReport } from "../http/routes/reconcile.ts";
import type { Reconciled } from "../reconcile/reconcile.ts";
import type { ResolvedSpec } from "../spec/resolved_spec.ts";
import type { ComputeMetrics } from "../telemetry/compute_metrics.ts";
import type { Logger } from "../telemetry/log.ts";
import type { StartupMetrics } from "../telemetry/startup_metrics.ts";
import { formatLsn, type Lsn } from "../wire/lsn.ts";
import { ComputeState, InvalidStatusError } from "./compute_state.ts";
import { Configurator, type ReconfigurationActions } from "./configurator.ts";
import { EventLog } from "./event_log.ts";
import { JobQueue } from "./job_queue.ts";
import { PageserverChanges } from "./pageserver_changes.ts";
import { Promotion, requirePromotable } from "./promotion.ts";
import { reconcileReport } from "./reconcile_report.ts";

/** What the life cycle does on behalf of requests. */
export interface ComputeActions extends ReconfigurationActions {
  /** Asks Postgres for a fast stop; the life cycle notices its end. Also called where no Postgres runs. */
  requestStop(): void;
  /** Makes this replica the primary of `spec`, once its replay has reached the LSN. */
  promote(spec: ResolvedSpec, walFlushLsn: Lsn): Promise<PromotionTimings>;
  downloadExtension(file: ExtensionFile, spec: ResolvedSpec | null): Promise<void>;
  /** Why commits wait, in a few words; null when they do not. */
  commitsBlocked(): string | null;
}

/** What a compute is made of once its machine is known: before the servers listen. */
export interface ComputeParts {
  readonly actions: ComputeActions;
  readonly postgres: PostgresAccess;
  readonly localFileCache: LocalFileCacheApi;
}

/** Labels of `pg_cctl_attached`, which exists only where they do (contract: metrics-and-logs.md 3.7). */
export interface Attachment {
  readonly computeId: string;
  readonly instanceId: string;
}

/** One compute as the HTTP servers see it: its state, its spec and what may be asked of it. */
export class ComputeNode implements ComputeApi {
  readonly state: ComputeState;
  /** What the monitor found out last. */
  readonly activity: { lastActive: Date | null; answers: boolean } = { lastActive: null, answers: true };
  /** Everything that writes `postgresql.conf` or the catalog of a running Postgres. */
  readonly jobs = new JobQueue();
  readonly eventLog = new EventLog();
  readonly pageserverChanges = new PageserverChanges();
  readonly #startup: StartupMetrics;
  readonly #metrics: ComputeMetrics;
  readonly #log: Logger;
  readonly #attachment: Attachment | undefined;
  readonly #promotion = new Promotion();
  readonly #ending = new AbortController();
  #parts: ComputeParts | undefined;
  #configurator: Configurator | undefined;
  #startTime = new Date();
  #spec: ResolvedSpec | null = null;
  #reconciled: ReconcileReport | null = null;
  #terminateLsn: Lsn | null = null;

  constructor(log: Logger, metrics: ComputeMetrics, startup: StartupMetrics, attachment?: Attachment) {
    this.#attachment = attachment;
    this.#log = log;
    this.#metrics = metrics;
    this.#startup = startup;
    this.state = new ComputeState(log, metrics);
    this.#tellStatus();
    let told = this.state.status;
    this.state.onChange(() => {
      if (this.state.status !== told) this.#tellStatus();
      told = this.state.status;
    });
  }

  /** The last accepted spec. */
  get spec(): ResolvedSpec | null {
    return this.#spec;
  }

  get startTime(): Date {
    return this.#startTime;
  }

  get postgres(): PostgresAccess {
    return this.#attached.postgres;
  }

  get localFileCache(): LocalFileCacheApi {
    return this.#attached.localFileCache;
  }

  attach(parts: ComputeParts): void {
    this.#parts = parts;
    this.#configurator = new Configurator({
      state: this.state,
      jobs: this.jobs,
      actions: parts.actions,
      spec: { get: () => this.#spec, set: (spec) => this.#take(spec) },
      log: this.#log,
      signal: this.#ending.signal,
    });
  }

  /** The first spec was at hand when the process started. */
  takeFirstSpec(spec: ResolvedSpec): void {
    this.#take(spec);
    this.state.apply("spec_at_start");
  }

  /** The wait for a first spec is over: start-up is measured from now. */
  restartClock(): void {
    this.#startTime = new Date();
  }

  /** Postgres is gone and a primary's WAL is in storage up to `lsn`. */
  finishTermination(lsn: Lsn | null): void {
    this.#terminateLsn = lsn;
    this.state.apply("postgres_gone");
  }

  /** The process is about to end for `reason`: requests that wait get it as their answer. */
  endWaiting(reason: CodedError): void {
    this.#ending.abort(reason);
  }

  report(): ComputeReport {
    return {
      startTime: this.#startTime,
      tenant: this.#spec?.tenantId ?? null,
      timeline: this.#spec?.timelineId ?? null,
      status: this.state.status,
      lastActive: this.activity.lastActive,
      error: this.state.error,
    };
  }

  startupMetrics(): StartupMetrics {
    return this.#startup;
  }

  metricsText(): Promise<string> {
    return this.#metrics.text();
  }

  events(): readonly ComputeEvent[] {
    return this.eventLog.recent();
  }

  onEvent(listener: (event: ComputeEvent) => void): () => void {
    return this.eventLog.listen(listener);
  }

  requireRunning(): void {
    if (this.state.status !== "running") throw new InvalidStatusError(this.state.status);
  }

  notReady(): string | null {
    if (this.state.status !== "running") return statusText(this.state.status);
    if (!this.activity.answers) return "Postgres does not answer";
    return this.#attached.actions.commitsBlocked();
  }

  /** What the last look at roles and databases came to; for `GET /reconcile`. */
  reconciled(outcome: Reconciled): void {
    this.#reconciled = reconcileReport(outcome);
  }

  lastReconcile(): ReconcileReport | null {
    return this.#reconciled;
  }

  async configure(spec: ResolvedSpec): Promise<void> {
    if (this.state.state === "empty") {
      this.state.apply("configure");
      this.#take(spec);
    } else await this.#configurator?.configure(spec);
    this.#log.info(`waiting for compute to become running, current status: ${statusText(this.state.status)}`);
    const reached = await this.#waitFor("running", "start_failed", "reconfiguration_failed");
    if (reached !== "running")
      throw new CodedError(
        "configuration_failed",
        `compute configuration failed: ${JSON.stringify(this.state.error ?? "unknown error")}`,
      );
  }

  /** Applies the spec in force once more; see {@link Configurator.reapply}. */
  async reapply(): Promise<void> {
    await this.#configurator?.reapply();
  }

  refresh(): void {
    this.#metrics.refreshRequests.inc();
    if (!this.state.accepts("refresh"))
      throw new CodedError(
        "cannot_refresh",
        `Cannot refresh compute configuration in state ${camelCase(this.state.status)}`,
      );
    if (this.state.apply("refresh")) void this.#configurator?.refresh();
  }

  async promote(spec: ResolvedSpec, walFlushLsn: Lsn): Promise<PromotionTimings> {
    const { actions, postgres, localFileCache } = this.#attached;
    if (!this.#promotion.begun) {
      this.requireRunning();
      const prewarm = postgres.installation.kind === "neon" ? localFileCache.prewarmState : undefined;
      requirePromotable({ spec: this.#spec, prewarm });
    }
    const promoted = this.#promotion.run((...args) => actions.promote(...args), spec, walFlushLsn);
    return await orAborted(promoted, this.#ending.signal);
  }

  async downloadExtension(file: ExtensionFile): Promise<void> {
    await this.#attached.actions.downloadExtension(file, this.#spec);
  }

  async terminate(mode: TerminateMode): Promise<TerminateOutcome> {
    const lsn = (): string | null => (this.#terminateLsn === null ? null : formatLsn(this.#terminateLsn));
    if (this.state.state === "terminated") return { repeated: true, lsn: lsn() };
    this.state.apply(mode === "fast" ? "terminate_fast" : "terminate_immediate");
    this.#parts?.actions.requestStop();
    this.#log.info("sent signal and notified waiters");
    await this.#waitFor("terminated");
    this.#log.info("terminated Postgres");
    return { repeated: false, lsn: lsn() };
  }

  /** The servers listen only after {@link attach}. */
  get #attached(): ComputeParts {
    if (this.#parts === undefined) throw new CodedError("not_attached", "the compute is not ready for requests yet");
    return this.#parts;
  }

  #take(spec: ResolvedSpec): void {
    const before = this.#spec;
    this.#spec = spec;
    if (before !== null && !isDeepStrictEqual(before.pageservers, spec.pageservers)) this.pageserverChanges.changed();
    if (this.#attachment === undefined) return;
    const { computeId: pg_compute_id, instanceId: pg_instance_id } = this.#attachment;
    this.#metrics.attached.reset();
    this.#metrics.attached.set(
      { pg_compute_id, pg_instance_id, tenant_id: spec.tenantId, timeline_id: spec.timelineId },
      1,
    );
  }

  #tellStatus(): void {
    const { status, error } = this.state;
    this.eventLog.add({ kind: "status", at: new Date(), status, error });
  }

  async #waitFor(...states: Parameters<ComputeState["reach"]>[0]): Promise<string> {
    try {
      return await this.state.reach(states, this.#ending.signal);
    } catch (error) {
      if (this.#ending.signal.aborted) throw this.#ending.signal.reason;
      throw error;
    }
  }
}

/** `refresh_configuration` to `RefreshConfiguration`. */
function camelCase(status: string): string {
  return status.replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
