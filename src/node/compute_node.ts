import { CodedError, errorChain } from "../errors/coded_error.ts";
import type { ComputeApi, ComputeReport, TerminateMode, TerminateOutcome } from "../http/compute_api.ts";
import type { ResolvedSpec } from "../spec/resolved_spec.ts";
import type { ComputeMetrics } from "../telemetry/compute_metrics.ts";
import type { Logger } from "../telemetry/log.ts";
import { display } from "../telemetry/log_line.ts";
import type { StartupMetrics } from "../telemetry/startup_metrics.ts";
import { formatLsn, type Lsn } from "../wire/lsn.ts";
import { ComputeState } from "./compute_state.ts";
import { JobQueue } from "./job_queue.ts";

/** What the life cycle does on behalf of requests; `run.ts` provides it. */
export interface ComputeActions {
  /** Applies a spec to the running Postgres. */
  reconfigure(spec: ResolvedSpec): Promise<void>;
  /** Asks Postgres for a fast stop; the life cycle notices its end. Also called where no Postgres runs. */
  requestStop(): void;
}

/** One compute as the HTTP servers see it: its state, its spec and what may be asked of it. */
export class ComputeNode implements ComputeApi {
  readonly state: ComputeState;
  readonly #startup: StartupMetrics;
  readonly #metrics: ComputeMetrics;
  readonly #log: Logger;
  readonly #jobs = new JobQueue();
  readonly #ending = new AbortController();
  #actions: ComputeActions | undefined;
  #startTime = new Date();
  #spec: ResolvedSpec | null = null;
  #terminateLsn: Lsn | null = null;
  lastActive: Date | null = null;

  constructor(log: Logger, metrics: ComputeMetrics, startup: StartupMetrics) {
    this.#log = log;
    this.#metrics = metrics;
    this.#startup = startup;
    this.state = new ComputeState(log, metrics);
  }

  /** The last accepted spec. */
  get spec(): ResolvedSpec | null {
    return this.#spec;
  }

  get startTime(): Date {
    return this.#startTime;
  }

  attach(actions: ComputeActions): void {
    this.#actions = actions;
  }

  /** The first spec was at hand when the process started. */
  takeFirstSpec(spec: ResolvedSpec): void {
    this.#spec = spec;
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
      lastActive: this.lastActive,
      error: this.state.error,
    };
  }

  startupMetrics(): StartupMetrics {
    return this.#startup;
  }

  metricsText(): Promise<string> {
    return this.#metrics.text();
  }

  async configure(spec: ResolvedSpec): Promise<void> {
    const first = this.state.state === "empty";
    if (!first && this.#spec !== null && this.state.accepts("configure")) refuseOtherIdentity(this.#spec, spec);
    this.state.apply("configure");
    this.#spec = spec;
    this.#log.info(`waiting for compute to become running, current status: ${this.state.status}`);
    if (!first) void this.#jobs.run(() => this.#reconfigure(spec));
    const reached = await this.#waitFor("running", "start_failed", "reconfiguration_failed");
    if (reached !== "running")
      throw new CodedError(
        "configuration_failed",
        `compute configuration failed: ${JSON.stringify(this.state.error ?? "unknown error")}`,
      );
  }

  async terminate(mode: TerminateMode): Promise<TerminateOutcome> {
    const lsn = (): string | null => (this.#terminateLsn === null ? null : formatLsn(this.#terminateLsn));
    if (this.state.state === "terminated") return { repeated: true, lsn: lsn() };
    this.state.apply(mode === "fast" ? "terminate_fast" : "terminate_immediate");
    this.#actions?.requestStop();
    this.#log.info("sent signal and notified waiters");
    await this.#waitFor("terminated");
    this.#log.info("terminated Postgres");
    return { repeated: false, lsn: lsn() };
  }

  async #reconfigure(spec: ResolvedSpec): Promise<void> {
    this.#log.info("got configuration request");
    this.state.apply("reconfiguration_begins");
    try {
      if (this.#actions === undefined) throw new CodedError("not_started", "there is no Postgres to reconfigure");
      await this.#actions.reconfigure(spec);
    } catch (error) {
      this.#log.error(`could not configure compute node: ${errorChain(error)}`);
      this.state.apply("reconfiguration_fails", errorChain(error));
      return;
    }
    this.#log.info("compute node configured", { operation: display(spec.spec.operation_uuid ?? "unknown") });
    this.state.apply("reconfiguration_done");
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

/** Postgres cannot change these while it runs, and neither can its storage (contract: spec.md 10 row 6, case 36). */
function refuseOtherIdentity(current: ResolvedSpec, next: ResolvedSpec): void {
  const changed = [
    current.tenantId === next.tenantId ? [] : ["tenant_id"],
    current.timelineId === next.timelineId ? [] : ["timeline_id"],
    current.spec.mode.kind === next.spec.mode.kind ? [] : ["mode"],
  ].flat();
  if (changed.length > 0)
    throw new CodedError(
      "other_identity",
      `${changed.join(", ")} of a running compute cannot change: start another compute`,
      { status: 400 },
    );
}
