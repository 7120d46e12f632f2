/** How hard a postmaster is asked to go, in rising order. */
const STOP_MODES = ["smart", "fast", "immediate", "kill"] as const;
export type StopMode = (typeof STOP_MODES)[number];

/** Postgres' own meaning of the signals: wait for clients, roll them back, drop everything, no choice. */
const SIGNAL = { smart: "SIGTERM", fast: "SIGINT", immediate: "SIGQUIT", kill: "SIGKILL" } as const;

/** How long each mode has before the next is tried, in milliseconds. */
export interface StopLimits {
  readonly smart: number;
  readonly fast: number;
  readonly immediate: number;
}

const STOP_LIMITS: StopLimits = { smart: 60_000, fast: 8_000, immediate: 5_000 };

/**
 * The signals that end a postmaster: each mode has its time, then the next harder one follows. A call for a mode that is
 * not harder than the present one changes nothing; a harder one takes over at once.
 */
export class StopLadder {
  private step = -1;
  private timer: NodeJS.Timeout | undefined;
  private done = false;
  private readonly send: (signal: NodeJS.Signals) => void;

  constructor(send: (signal: NodeJS.Signals) => void) {
    this.send = send;
  }

  /** The mode last asked for, by a caller or by the clock. */
  get mode(): StopMode | undefined {
    return STOP_MODES[this.step];
  }

  raise(mode: StopMode, limits: StopLimits = STOP_LIMITS): void {
    const step = STOP_MODES.indexOf(mode);
    if (this.done || step <= this.step) return;
    clearTimeout(this.timer);
    this.step = step;
    this.send(SIGNAL[mode]);
    const next = STOP_MODES[step + 1];
    if (mode === "kill" || next === undefined) return;
    this.timer = setTimeout(() => this.raise(next, limits), limits[mode]);
  }

  /** The process is gone: nothing is sent any more. */
  cancel(): void {
    this.done = true;
    clearTimeout(this.timer);
  }
}
