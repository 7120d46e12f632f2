import { errorChain } from "../errors/coded_error.ts";
import type { NotifyVariables } from "./notify_variables.ts";
import { type Notify, systemdNotify } from "./systemd_notify.ts";

export interface ServiceManagerOptions {
  readonly variables: NotifyVariables;
  /** For the `PATH` on which `systemd-notify` is found. */
  readonly env: NodeJS.ProcessEnv;
  /** Takes the one sentence that is said when messages do not get through. */
  readonly warn: (message: string) => void;
  readonly notify?: Notify;
  /** Calls back again and again until what it returns is called. */
  readonly every?: (ms: number, callback: () => void) => () => void;
}

/** What a status line shows of a long reason. */
const LONGEST_STATUS = 400;
/** A longer timer would fire all the time. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * The service manager that started us, systemd or who speaks its protocol: it is told that we are ready, what we do, that we
 * stop, and that our event loop still turns. Nothing that goes wrong here is more than a warning.
 */
export class ServiceManager {
  readonly #notify: Notify;
  readonly #warn: (message: string) => void;
  readonly #endBeat: () => void;
  /** What is to be said next, by variable: while a message is on its way only the latest value of each is kept. */
  readonly #waiting = new Map<string, string>();
  #sending: Promise<void> | undefined;
  #isReady = false;
  #warned = false;

  constructor({ variables, env, warn, notify, every = repeat }: ServiceManagerOptions) {
    this.#notify = notify ?? systemdNotify(variables.socket, env.PATH);
    this.#warn = warn;
    const { watchdogMs } = variables;
    // Half of it, so that one late beat is not the end.
    const beat = (): void => this.#tell({ WATCHDOG: "1" });
    this.#endBeat =
      watchdogMs === undefined ? () => undefined : every(Math.min(watchdogMs / 2, LONGEST_TIMER_MS), beat);
  }

  /** The service does its work; said once, later calls only tell the status. */
  ready(status: string): void {
    this.#tell(this.#isReady ? { STATUS: status } : { READY: "1", STATUS: status });
    this.#isReady = true;
  }

  /** One line for people, as `systemctl status` shows it. */
  status(status: string): void {
    this.#tell({ STATUS: status });
  }

  /** From here on the time limit of a stop counts. */
  stopping(status: string): void {
    this.#tell({ STOPPING: "1", STATUS: status });
  }

  /** Ends the beat and settles when everything that was told has been sent or given up; never rejects. */
  async close(): Promise<void> {
    this.#endBeat();
    await this.#sending;
  }

  #tell(assignments: Record<string, string>): void {
    // A line break would begin another assignment.
    for (const [name, value] of Object.entries(assignments))
      this.#waiting.set(name, value.replace(/\s+/g, " ").slice(0, LONGEST_STATUS));
    this.#sending ??= this.#send();
  }

  /** One message after the other: a status must not be overtaken by an older one. */
  async #send(): Promise<void> {
    while (this.#waiting.size > 0) {
      const assignments = [...this.#waiting].map(([name, value]) => `${name}=${value}`);
      this.#waiting.clear();
      try {
        await this.#notify(assignments);
      } catch (error) {
        if (!this.#warned) this.#warn(`the service manager cannot be told anything: ${errorChain(error)}`);
        this.#warned = true;
      }
    }
    this.#sending = undefined;
  }
}

function repeat(ms: number, callback: () => void): () => void {
  const timer = setInterval(callback, ms);
  // Alone it is no reason to go on.
  timer.unref();
  return () => clearInterval(timer);
}
