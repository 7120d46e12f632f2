import type { Logger } from "./log.ts";
import type { LogFields } from "./log_line.ts";

/** One finished stage of a start: when it began after the start's own beginning, and how long it took, in milliseconds. */
export interface StageTiming {
  readonly name: string;
  readonly startMs: number;
  readonly durationMs: number;
  readonly depth: number;
}

/** Measures named stages that run one after another, inside one another or side by side. */
export class StageRecorder {
  readonly #timings: StageTiming[] = [];
  readonly #now: () => number;
  readonly #origin: number;
  readonly #onTiming: (timing: StageTiming) => void;

  /**
   * @param now monotonic milliseconds
   * @param onTiming told of each stage when it is over
   */
  constructor(now: () => number = () => performance.now(), onTiming: (timing: StageTiming) => void = () => undefined) {
    this.#now = now;
    this.#origin = now();
    this.#onTiming = onTiming;
  }

  /** Runs a stage inside the span `name`; its duration is recorded also when it fails. */
  async run<T>(
    log: Logger,
    name: string,
    work: (log: Logger) => Promise<T>,
    fields: LogFields = {},
    depth = 0,
  ): Promise<T> {
    const began = this.#now();
    const inner = log.span(name, fields);
    try {
      return await work(inner);
    } finally {
      const durationMs = this.#now() - began;
      const timing = { name, startMs: began - this.#origin, durationMs, depth };
      this.#timings.push(timing);
      this.#onTiming(timing);
      inner.debug("stage finished", { duration_ms: Math.round(durationMs * 10) / 10 });
    }
  }

  /** In the order in which they began. */
  timings(): readonly StageTiming[] {
    return [...this.#timings].sort((a, b) => a.startMs - b.startMs);
  }

  /** A waterfall for people: one line a stage, a bar on a common time axis. */
  waterfall(width = 40): string {
    const timings = this.timings();
    const end = Math.max(1, ...timings.map((timing) => timing.startMs + timing.durationMs));
    const nameWidth = Math.max(...timings.map((timing) => timing.name.length), 0);
    return timings
      .map(({ name, startMs, durationMs }) => {
        const from = Math.round((startMs / end) * width);
        const length = Math.max(1, Math.round((durationMs / end) * width));
        return `${name.padEnd(nameWidth)} ${" ".repeat(from)}${"█".repeat(length)} ${durationMs.toFixed(1)} ms`;
      })
      .join("\n");
  }
}
