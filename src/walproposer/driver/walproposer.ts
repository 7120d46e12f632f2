import { Worker } from "node:worker_threads";
import { workerEntry } from "../../disk/worker_entry.ts";
import { CodedError, errorChain } from "../../errors/coded_error.ts";
import type { Lsn } from "../../wire/lsn.ts";
import type { TermHistory } from "../../wire/safekeeper/history.ts";
import type { LocalTail } from "./local_tail.ts";
import type { ProposerDriverOptions, ProposerStatus, ServerSource } from "./proposer_driver.ts";
import type { WorkerCommand, WorkerMessage } from "./worker_messages.ts";

export interface WalProposerHandlers {
  onLog(level: "info" | "warn" | "error", message: string): void;
  onStatus(status: ProposerStatus): void;
  /** Another compute took over, or the proposer cannot go on: commits will never return again. Called once. */
  onLost(error: CodedError): void;
}

/** The result of an election: WAL of older computes is refused from now on, and `startLsn` is where ours begins. */
export interface Elected {
  readonly term: bigint;
  readonly startLsn: Lsn;
  /** Storage's terms and where each begins, ours at the end. */
  readonly history: TermHistory;
}

/** Begins to load the thread that a {@link WalProposer} runs in, before it is known what for: that takes as long as an election. */
export function startProposerThread(): Worker {
  return new Worker(workerEntry("walproposer_worker", import.meta.url));
}

/** The WAL proposer of this compute: a worker thread and what may be asked of it. */
export class WalProposer {
  readonly #worker: Worker;
  readonly #handlers: WalProposerHandlers;
  readonly #pending = new Map<number, { resolve: (lsn: Lsn | undefined) => void; reject: (error: Error) => void }>();
  readonly #elected = Promise.withResolvers<Elected>();
  #nextId = 1;
  #stopped = false;

  /** @param worker a thread from {@link startProposerThread} that nobody uses; it ends with this proposer */
  constructor(options: ProposerDriverOptions, handlers: WalProposerHandlers, worker = startProposerThread()) {
    this.#handlers = handlers;
    this.#worker = worker;
    this.#worker.on("message", (message: WorkerMessage) => this.#receive(message));
    this.#worker.on("error", (error) => this.#lose(new CodedError("proposer_failed", errorChain(error))));
    this.#worker.on("exit", () => this.#lose(new CodedError("proposer_failed", "the WAL proposer's thread ended")));
    // Whoever does not wait for the election learns of its failure through onLost.
    this.#elected.promise.catch(() => undefined);
    this.#ask({ do: "start", options }).catch((error: unknown) => this.#lose(error as CodedError));
  }

  /** Resolves when a quorum elected us and agrees on the log; waits as long as that takes. */
  async elected(signal: AbortSignal): Promise<Elected> {
    signal.throwIfAborted();
    const aborted = Promise.withResolvers<never>();
    const abort = (): void => aborted.reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    try {
      return await Promise.race([this.#elected.promise, aborted.promise]);
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  /**
   * What a kept data directory's WAL has behind `start`.
   *
   * @param began where its server began to write
   * @throws CodedError `local_wal_damaged`
   */
  async findTail(pgdata: string, start: Lsn, began: Lsn): Promise<LocalTail> {
    return { start, end: (await this.#ask({ do: "find_tail", pgdata, start, began })) ?? start };
  }

  /** Brings such a tail to storage as our own WAL: resolves when a quorum has it. No server can be attached after that. */
  async pushTail(pgdata: string, tail: LocalTail): Promise<void> {
    await this.#ask({ do: "push_tail", pgdata, tail });
  }

  /** Opens the base backup's WAL, for the check of the server's first record. Call it before the server starts. */
  async openBackup(pgdata: string): Promise<void> {
    await this.#ask({ do: "open_backup", pgdata });
  }

  /** Attaches to the running server. @returns what the server had flushed when we came */
  async attach(startLsn: Lsn, source: ServerSource): Promise<Lsn> {
    return (await this.#ask({ do: "attach", startLsn, source })) ?? startLsn;
  }

  /** Resolves when a quorum holds everything up to `lsn`. */
  async whenCommitted(lsn: Lsn): Promise<void> {
    await this.#ask({ do: "when_committed", lsn });
  }

  /** The server is gone. @returns the end of the WAL that storage has */
  async finish(): Promise<Lsn> {
    return (await this.#ask({ do: "finish" })) ?? 0n;
  }

  /** Ends the thread. Safe to call again. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#rejectAll(new CodedError("proposer_stopped", "the WAL proposer was stopped"));
    await this.#worker.terminate();
  }

  #ask(command: WorkerCommand["command"]): Promise<Lsn | undefined> {
    if (this.#stopped) return Promise.reject(new CodedError("proposer_stopped", "the WAL proposer was stopped"));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#worker.postMessage({ id, command } satisfies WorkerCommand);
    });
  }

  #receive(message: WorkerMessage): void {
    switch (message.type) {
      case "done":
        this.#pending.get(message.id)?.resolve(message.lsn);
        this.#pending.delete(message.id);
        return;
      case "refused":
        this.#pending.get(message.id)?.reject(new CodedError(message.code, message.reason));
        this.#pending.delete(message.id);
        return;
      case "synced":
        this.#elected.resolve(message);
        return;
      case "log":
        this.#handlers.onLog(message.level, message.message);
        return;
      case "status":
        this.#handlers.onStatus(message.status);
        return;
      case "fenced":
        this.#lose(new CodedError("fenced", `another compute took over with term ${message.term}: ${message.reason}`));
        return;
      case "failed":
        this.#lose(new CodedError(message.code, message.reason));
        return;
    }
  }

  #lose(error: CodedError): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#rejectAll(error);
    this.#handlers.onLost(error);
  }

  #rejectAll(error: CodedError): void {
    this.#elected.reject(error);
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }
}
