import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { CodedError, errorChain } from "../errors/coded_error.ts";
import { resolveSpec } from "../spec/resolve.ts";
import type { ResolvedSpec } from "../spec/resolved_spec.ts";
import type { ComputeConfig } from "../spec/schema.ts";
import type { Logger } from "../telemetry/log.ts";
import type { ComputeState } from "./compute_state.ts";
import type { JobQueue } from "./job_queue.ts";

/** Between two looks at the config, whatever the first one came to: Postgres asks again and again while it is in trouble. */
const REFRESH_PAUSE_MS = 5_000;

/** What changing a running compute takes; the life cycle provides it. */
export interface ReconfigurationActions {
  /** Renders a spec's configuration and has Postgres judge it: 400 with its words. Returns what puts it in force. */
  prepare(spec: ResolvedSpec): Promise<() => Promise<void>>;
  /** Gets the config from where the first one came from. */
  fetchConfig(): Promise<ComputeConfig>;
  /** There is no spec any more: ends Postgres at once and then the process. */
  abandon(): void;
}

export interface ConfiguratorOptions {
  readonly state: ComputeState;
  readonly jobs: JobQueue;
  readonly actions: ReconfigurationActions;
  /** The spec in force, or on its way into force. */
  readonly spec: { get(): ResolvedSpec | null; set(spec: ResolvedSpec): void };
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly pauseMs?: number;
}

/** Applies new specs to a running Postgres, one at a time (contract: lifecycle.md 5.5, 14). */
export class Configurator {
  readonly #options: ConfiguratorOptions;
  #nextFetch = 0;

  constructor(options: ConfiguratorOptions) {
    this.#options = options;
  }

  /**
   * Takes a spec for a compute that runs: everything that can be refused is refused before anything changes. Settles when
   * the work is begun; the state tells how it goes on.
   */
  async configure(spec: ResolvedSpec): Promise<void> {
    const { state, jobs, actions } = this.#options;
    // Asked before the rest too: a compute that is busy says so at once, and not after its work.
    if (!state.accepts("configure")) state.apply("configure");
    this.#refuseOtherIdentity(spec);
    const putInForce = await jobs.run(() => actions.prepare(spec));
    state.apply("configure");
    this.#options.spec.set(spec);
    void jobs.run(() => this.#reconfigure(putInForce));
  }

  /** Applies the present spec once more, because a file that it names has changed. Nothing happens unless it runs. */
  async reapply(): Promise<void> {
    const spec = this.#options.spec.get();
    if (spec !== null) await this.configure(spec);
  }

  async #reconfigure(putInForce: () => Promise<void>): Promise<void> {
    const { state, log } = this.#options;
    log.info("got configuration request");
    state.apply("reconfiguration_begins");
    try {
      await putInForce();
    } catch (error) {
      log.error(`could not configure compute node: ${errorChain(error)}`);
      state.apply("reconfiguration_fails", errorChain(error));
      return;
    }
    log.info("compute node configured");
    state.apply("reconfiguration_done");
  }

  /**
   * Looks for a new config until one look succeeds. Between two of them the compute stays in
   * `refresh_configuration_pending`, a word that others look for. Never rejects.
   */
  async refresh(): Promise<void> {
    const { jobs, log, signal } = this.#options;
    const pauseMs = this.#options.pauseMs ?? REFRESH_PAUSE_MS;
    try {
      for (;;) {
        await sleep(Math.max(0, this.#nextFetch - performance.now()), undefined, { signal });
        const done = await jobs.run(() => this.#refreshOnce());
        this.#nextFetch = performance.now() + pauseMs;
        if (done) return;
      }
    } catch (error) {
      if (!signal.aborted) log.error(`Refresh configuration: ${errorChain(error)}`);
    }
  }

  /** False when it has to be tried again. */
  async #refreshOnce(): Promise<boolean> {
    const { state, actions, log, spec } = this.#options;
    state.apply("refresh_begins");
    try {
      const config = await actions.fetchConfig();
      if (config.spec === null) {
        log.info("Compute Manager signaled that this compute is no longer attached to any storage. Exiting.");
        actions.abandon();
        return true;
      }
      const next = resolveSpec(config.spec);
      // The whole of it, not the pageservers alone: whoever asks for a refresh means what the source says now.
      if (isDeepStrictEqual(next.spec, spec.get()?.spec)) {
        log.info("Refresh configuration: Retrieved spec is the same as the current spec. Nothing is changed.");
      } else {
        this.#refuseOtherIdentity(next);
        const putInForce = await actions.prepare(next);
        spec.set(next);
        await putInForce();
        log.info("Refresh configuration: compute node configured");
      }
    } catch (error) {
      log.error(`Refresh configuration: ${errorChain(error)}`);
      state.apply("refresh_fails", errorChain(error));
      return false;
    }
    state.apply("refresh_done");
    return true;
  }

  /** Postgres cannot change these while it runs, and neither can its storage (contract: spec.md 10 row 6, case 36). */
  #refuseOtherIdentity(next: ResolvedSpec): void {
    const current = this.#options.spec.get();
    if (current === null) return;
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
}
