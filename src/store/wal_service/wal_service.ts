import { Worker } from "node:worker_threads";
import { workerEntry } from "../../disk/worker_entry.ts";
import { CodedError } from "../../errors/coded_error.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { ListenAddress } from "../listen_address.ts";
import type { WorkerCommand, WorkerReply, WorkerRequest, WorkerResults } from "./messages.ts";
import { writeRemoteLine } from "./remote_log.ts";
import { TimelineWal } from "./timeline_wal.ts";
import { timelineKey, type WalTimeline } from "./wal_timeline.ts";

interface Pending {
  readonly resolve: (result: never) => void;
  readonly reject: (error: unknown) => void;
}

/** The main thread's end of the thread that takes WAL in. */
export class WalService {
  /** Settles, with the reason, when the thread ended although nobody told it to: the store cannot go on. */
  readonly failure: Promise<CodedError>;
  readonly #worker: Worker;
  readonly #log: Logger;
  readonly #pending = new Map<number, Pending>();
  readonly #wals = new Map<string, TimelineWal>();
  #requests = 0;
  #stopping: Promise<void> | undefined;

  /** Starts the thread; it gets ready on its own while the caller does other things. */
  constructor(log: Logger) {
    this.#log = log;
    // Options of the main program, such as a test runner's, mean nothing there.
    this.#worker = new Worker(workerEntry("store_wal_worker", import.meta.url), { execArgv: [] });
    this.#worker.on("message", (reply: WorkerReply) => this.#receive(reply));
    const { promise, resolve } = Promise.withResolvers<CodedError>();
    this.failure = promise;
    const ended = (cause: unknown): void => {
      const error = new CodedError("wal_thread_ended", "the thread that stores WAL has ended", { cause });
      for (const { reject } of this.#pending.values()) reject(error);
      this.#pending.clear();
      if (!this.#stopping) resolve(error);
    };
    this.#worker.on("error", ended);
    this.#worker.on("exit", () => ended(undefined));
  }

  /** Makes a timeline known; its acceptor is opened when it is first needed. */
  async register(timeline: WalTimeline): Promise<TimelineWal> {
    const key = timelineKey(timeline.tenantId, timeline.timelineId);
    const wal = new TimelineWal({
      status: () => this.#ask("status", { kind: "status", key }),
      forget: async () => {
        this.#wals.delete(key);
        await this.#ask("forget", { kind: "forget", key });
      },
    });
    this.#wals.set(key, wal);
    await this.#ask("register", { kind: "register", timeline, progress: wal.progress.buffer });
    return wal;
  }

  /** Whether the timelines of a tenant are served. */
  async serve(tenantId: string, served: boolean): Promise<void> {
    await this.#ask("serve", { kind: "serve", tenantId, served });
  }

  /** The safekeeper's listener. @throws StoreError `address_in_use` */
  async listen(address: ListenAddress, authPublicKeyPath: string | undefined): Promise<ListenAddress> {
    return await this.#ask("listen", { kind: "listen", address, authPublicKeyPath });
  }

  /** Ends all connections, closes all files, and ends the thread. Idempotent; never rejects. */
  async stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    await this.#stopping;
  }

  async #stop(): Promise<void> {
    await this.#ask("stop", { kind: "stop" }).catch(() => undefined);
    await this.#worker.terminate();
  }

  async #ask<K extends WorkerCommand["kind"]>(
    _kind: K,
    command: Extract<WorkerCommand, { kind: K }>,
  ): Promise<WorkerResults[K]> {
    const id = ++this.#requests;
    const { promise, resolve, reject } = Promise.withResolvers<WorkerResults[K]>();
    this.#pending.set(id, { resolve, reject });
    this.#worker.postMessage({ id, ...command } as WorkerRequest);
    return await promise;
  }

  #receive(reply: WorkerReply): void {
    switch (reply.kind) {
      case "log":
        writeRemoteLine(this.#log, reply);
        return;
      case "reached":
        this.#wals.get(reply.key)?.reached();
        return;
      case "done":
        this.#take(reply.id)?.resolve(reply.result as never);
        return;
      case "failed": {
        const { code, message, status, exitCode } = reply.error;
        this.#take(reply.id)?.reject(new CodedError(code, message, { status, exitCode }));
        return;
      }
    }
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    return pending;
  }
}
