import { errorChain } from "../errors/coded_error.ts";
import type { LogFile } from "./log_file.ts";

const INTERVAL_MS = 5000;

/** Looks after the size of logs until it is stopped. */
export class LogRotation {
  readonly #files = new Set<LogFile>();
  readonly #report: (line: string) => void;
  readonly #timer: NodeJS.Timeout;
  #running: Promise<void> = Promise.resolve();
  #complained = false;

  constructor(report: (line: string) => void) {
    this.#report = report;
    this.#timer = setInterval(() => {
      this.#running = this.#running.then(() => this.#rotate());
    }, INTERVAL_MS).unref();
  }

  add(file: LogFile): LogFile {
    this.#files.add(file);
    return file;
  }

  /** Closes all files. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
    for (const file of this.#files) file.close();
  }

  async #rotate(): Promise<void> {
    for (const file of this.#files) {
      try {
        await file.rotateIfLarge();
      } catch (error) {
        if (!this.#complained) this.#report(`cannot rotate ${file.path}: ${errorChain(error)}`);
        this.#complained = true;
      }
    }
  }
}
