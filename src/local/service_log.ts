import { createLogger, type Logger } from "../telemetry/log.ts";
import { LogFile } from "./log_file.ts";
import { LogRotation } from "./log_rotation.ts";
import type { StateLayout } from "./state_layout.ts";

/** The service's own log and those of its children. */
export class ServiceLogs {
  readonly log: Logger;
  readonly #rotation: LogRotation;

  constructor(layout: StateLayout) {
    const file = new LogFile(layout.serviceLog);
    this.log = createLogger({ level: "info", write: (line) => file.write(line) });
    this.#rotation = new LogRotation((line) => this.log.warn(line));
    this.#rotation.add(file);
  }

  /** Opens the log of a child; it is rotated and closed with the others. */
  open(path: string): LogFile {
    return this.#rotation.add(new LogFile(path));
  }

  async close(): Promise<void> {
    await this.#rotation.stop();
  }
}
