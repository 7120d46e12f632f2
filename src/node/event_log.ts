import { EventEmitter } from "node:events";
import { CodedError } from "../errors/coded_error.ts";
import type { ComputeEvent } from "../http/compute_api.ts";

const MOST_LISTENERS = 64;
/** A start has a few dozen stages. */
const MOST_STAGES = 1_000;

/** What `GET /events` tells: to those who listen, and in short to those who come later. */
export class EventLog {
  readonly #emitter = new EventEmitter<{ event: [ComputeEvent] }>();
  readonly #stages: ComputeEvent[] = [];
  #status: ComputeEvent | undefined;

  constructor() {
    this.#emitter.setMaxListeners(MOST_LISTENERS);
  }

  add(event: ComputeEvent): void {
    if (event.kind === "status") this.#status = event;
    else if (this.#stages.length < MOST_STAGES) this.#stages.push(event);
    this.#emitter.emit("event", event);
  }

  /** All stages, then the latest status. */
  recent(): readonly ComputeEvent[] {
    return this.#status === undefined ? this.#stages : [...this.#stages, this.#status];
  }

  /** @throws CodedError `too_many_listeners` (503) */
  listen(listener: (event: ComputeEvent) => void): () => void {
    if (this.#emitter.listenerCount("event") >= MOST_LISTENERS)
      throw new CodedError("too_many_listeners", `${MOST_LISTENERS} event streams are open`, { status: 503 });
    this.#emitter.on("event", listener);
    return () => this.#emitter.off("event", listener);
  }
}
