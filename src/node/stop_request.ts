import { constants } from "node:os";
import { CodedError } from "../errors/coded_error.ts";
import type { Logger } from "../telemetry/log.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGQUIT"] as const;

/** That somebody wants this process to end: a signal, or the death of whoever started it (contract: lifecycle.md 16.1). */
export class StopRequest {
  readonly #controller = new AbortController();
  readonly #log: Logger;
  readonly #onSignal: (name: NodeJS.Signals) => void;
  /** What a second signal does: nothing waits any more. */
  force: () => void = () => undefined;

  constructor(log: Logger) {
    this.#log = log;
    this.#onSignal = (name) => {
      this.#log.info(`received ${constants.signals[name]} termination signal`);
      if (this.#controller.signal.aborted) this.force();
      else this.request(`compute_ctl received ${name} and is stopping`);
    };
    for (const name of SIGNALS) process.on(name, this.#onSignal);
  }

  /** Aborted with the reason as a {@link CodedError}: work stops, waiting requests get it as their answer. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get reason(): CodedError | undefined {
    return this.#controller.signal.aborted ? (this.#controller.signal.reason as CodedError) : undefined;
  }

  request(message: string): void {
    if (!this.#controller.signal.aborted) this.#controller.abort(new CodedError("stopping", message));
  }

  /** Resolves when the end was asked for. */
  get requested(): Promise<"stop"> {
    const { signal } = this.#controller;
    if (signal.aborted) return Promise.resolve("stop");
    return new Promise((resolve) => signal.addEventListener("abort", () => resolve("stop"), { once: true }));
  }

  dispose(): void {
    for (const name of SIGNALS) process.off(name, this.#onSignal);
  }
}
