const QUIET_MS = 1000;

/** Says what is being done, but only about steps that take longer than a second (contract: neon-local.md A2). */
export class Progress {
  readonly #say: (line: string) => void;
  readonly #quietMs: number;

  constructor(say: (line: string) => void, quietMs: number = QUIET_MS) {
    this.#say = say;
    this.#quietMs = quietMs;
  }

  /** Runs a step. @param doing as in "starting Postgres" */
  async step<T>(doing: string, work: () => Promise<T>): Promise<T> {
    const timer = setTimeout(() => this.#say(`${doing} ...`), this.#quietMs);
    try {
      return await work();
    } finally {
      clearTimeout(timer);
    }
  }
}
