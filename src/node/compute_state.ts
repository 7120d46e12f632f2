import { EventEmitter } from "node:events";
import { CodedError } from "../errors/coded_error.ts";
import { type ComputeStatus, statusText } from "../http/compute_status.ts";
import type { ComputeMetrics } from "../telemetry/compute_metrics.ts";
import type { Logger } from "../telemetry/log.ts";
import { publicStatus, STATE_TABLE, type State, type Trigger } from "./state_table.ts";

/** One change of state, for everyone who waits. */
export interface StateChange {
  readonly from: State;
  readonly to: State;
}

interface StateEvents {
  change: [StateChange];
}

/** The 412 that names the status in its text form, which other programs search for (contract: lifecycle.md 5.5). */
export class InvalidStatusError extends CodedError {
  readonly computeStatus: ComputeStatus;

  constructor(status: ComputeStatus) {
    super("invalid_status", `invalid compute status: ${statusText(status)}`, { status: 412 });
    this.computeStatus = status;
  }
}

/**
 * Where a compute stands. `apply` is the one place that changes it: the table decides, the log and the metric are written and
 * waiters are woken in the same moment.
 */
export class ComputeState {
  readonly #events = new EventEmitter<StateEvents>();
  readonly #log: Logger;
  readonly #metrics: ComputeMetrics;
  #state: State = "empty";
  #error: string | null = null;

  constructor(log: Logger, metrics: ComputeMetrics) {
    this.#log = log;
    this.#metrics = metrics;
    this.#events.setMaxListeners(0);
    metrics.setStatus(statusText(this.status));
  }

  get state(): State {
    return this.#state;
  }

  get status(): ComputeStatus {
    return publicStatus(this.#state);
  }

  /** Why the last start or reconfiguration failed; null once the compute runs. */
  get error(): string | null {
    return this.#error;
  }

  /** Whether `apply` would take the trigger; for checks that must come before it. */
  accepts(trigger: Trigger): boolean {
    const cell = STATE_TABLE[this.#state][trigger];
    return cell !== "refused" && cell !== "never";
  }

  /** Says what a start waits for, without any change of state; null takes it back. */
  note(reason: string | null): void {
    this.#error = reason;
  }

  /** Tells every change from now on, until the signal fires. */
  onChange(listener: (change: StateChange) => void, signal?: AbortSignal): void {
    this.#events.on("change", listener);
    signal?.addEventListener("abort", () => this.#events.off("change", listener), { once: true });
  }

  /**
   * Applies what happened. True when the state changed, false when it was accepted without effect; throws
   * {@link InvalidStatusError} when the state refuses it.
   *
   * @param error the reason, with a trigger that means failure
   */
  apply(trigger: Trigger, error?: string): boolean {
    const from = this.#state;
    const cell = STATE_TABLE[from][trigger];
    if (cell === "refused") throw new InvalidStatusError(this.status);
    if (cell === "never") throw new CodedError("impossible_transition", `${trigger} cannot happen in state ${from}`);
    if (cell === "ignored") return false;
    const before = this.status;
    this.#state = cell;
    if (error !== undefined) this.#error = error;
    else if (cell === "running") this.#error = null;
    if (this.status !== before) {
      this.#log.info(`Changing compute status from ${statusText(before)} to ${statusText(this.status)}`);
      this.#metrics.setStatus(statusText(this.status));
    }
    this.#events.emit("change", { from, to: cell });
    return true;
  }

  /**
   * Waits until the state is one of those; at once when it is already. A state that is left again in the same moment counts.
   *
   * @returns the state that was reached; when it is told, the compute may already be in the next one
   */
  async reach(states: readonly State[], signal?: AbortSignal): Promise<State> {
    if (states.includes(this.#state)) return this.#state;
    signal?.throwIfAborted();
    const reached = Promise.withResolvers<State>();
    const onChange = ({ to }: StateChange): void => {
      if (states.includes(to)) reached.resolve(to);
    };
    const onAbort = (): void => reached.reject(signal?.reason);
    this.#events.on("change", onChange);
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      return await reached.promise;
    } finally {
      this.#events.off("change", onChange);
      signal?.removeEventListener("abort", onAbort);
    }
  }
}
