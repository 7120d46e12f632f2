import { CodedError, errorChain } from "../../errors/coded_error.ts";
import type { Logger } from "../../telemetry/log.ts";
import { LibpqServer } from "../libpq/server.ts";
import type { ListenAddress } from "../listen_address.ts";
import { safekeeperService } from "../safekeeper/service.ts";
import { StoreError } from "../store_error.ts";
import { AcceptorDriver } from "./acceptor_driver.ts";
import type { WorkerCommand, WorkerReply, WorkerRequest, WorkerResults } from "./messages.ts";
import { WalProgress } from "./progress.ts";
import { remoteLogger } from "./remote_log.ts";
import { type AcceptorStatus, timelineKey } from "./wal_timeline.ts";

const TICK_MS = 1000;

/**
 * The thread that takes WAL in: the safekeeper's listener, its sockets and all acceptors. Nothing else runs here, so that a
 * commit waits for nothing but the disk (design.md 4).
 */
export class WalWorker {
  readonly #post: (reply: WorkerReply) => void;
  readonly #log: Logger;
  readonly #acceptors = new Map<string, AcceptorDriver>();
  readonly #detached = new Set<string>();
  readonly #ticks: NodeJS.Timeout;
  #server: LibpqServer | undefined;

  constructor(post: (reply: WorkerReply) => void) {
    this.#post = post;
    this.#log = remoteLogger(post);
    this.#ticks = setInterval(() => {
      for (const acceptor of this.#acceptors.values()) acceptor.tick();
    }, TICK_MS);
  }

  /** Does what was asked and answers; never rejects. */
  async handle(request: WorkerRequest): Promise<void> {
    const { id } = request;
    try {
      this.#post({ kind: "done", id, result: await this.#run(request) });
    } catch (error) {
      const { code, status, exitCode } = error instanceof CodedError ? error : new CodedError("internal", "");
      this.#post({ kind: "failed", id, error: { code, status, exitCode, message: errorChain(error) } });
    }
  }

  async #run(command: WorkerCommand): Promise<WorkerResults[keyof WorkerResults]> {
    switch (command.kind) {
      case "register":
        return this.#register(command);
      case "status":
        return await this.#status(command.key);
      case "forget":
        return await this.#forget(command.key);
      case "serve":
        return this.#serve(command.tenantId, command.served);
      case "listen":
        return await this.#listen(command);
      case "stop":
        return await this.#stop();
    }
  }

  #register({ timeline, progress: buffer }: Extract<WorkerCommand, { kind: "register" }>): undefined {
    const key = timelineKey(timeline.tenantId, timeline.timelineId);
    const progress = new WalProgress(buffer);
    const onProgress = (flush: bigint, commit: bigint, lastRecordStart: bigint): void => {
      if (progress.advance(flush, commit, lastRecordStart)) this.#post({ kind: "reached", key });
    };
    this.#acceptors.set(key, new AcceptorDriver({ timeline, log: this.#log, onProgress }));
  }

  async #status(key: string): Promise<AcceptorStatus> {
    const acceptor = this.#acceptors.get(key);
    if (!acceptor) throw new StoreError("timeline_not_found", `timeline ${key} was not found`);
    await acceptor.open();
    return acceptor.status();
  }

  async #forget(key: string): Promise<undefined> {
    const acceptor = this.#acceptors.get(key);
    this.#acceptors.delete(key);
    await acceptor?.close(new StoreError("timeline_not_found", `timeline ${key} is being deleted`));
  }

  #serve(tenantId: string, served: boolean): undefined {
    if (served) this.#detached.delete(tenantId);
    else this.#detached.add(tenantId);
    if (served) return;
    const reason = new StoreError("tenant_not_found", `tenant ${tenantId} was detached`);
    for (const acceptor of this.#acceptors.values())
      if (acceptor.timeline.tenantId === tenantId) acceptor.disconnectAll(reason);
  }

  async #listen(command: Extract<WorkerCommand, { kind: "listen" }>): Promise<ListenAddress> {
    const { authPublicKeyPath: path } = command;
    // The checker of tokens is not loaded where nobody needs one.
    const verify = path === undefined ? undefined : await (await import("../token.ts")).loadTokenVerifier(path);
    const find = (tenantId: string, timelineId: string): AcceptorDriver | undefined =>
      this.#detached.has(tenantId) ? undefined : this.#acceptors.get(timelineKey(tenantId, timelineId));
    const { server, address } = await LibpqServer.listen({
      name: "safekeeper",
      address: command.address,
      service: safekeeperService(find),
      verify,
      log: this.#log,
    });
    this.#server = server;
    // Loaded after the answer: the first proposer need not wait for it.
    setImmediate(() => {
      import("./acceptor_schema.ts").catch((error: unknown) => {
        this.#log.error("could not load a module", { error: errorChain(error) });
      });
    });
    return address;
  }

  /** Proposers have nothing to finish: what was acknowledged is durable. */
  async #stop(): Promise<undefined> {
    clearInterval(this.#ticks);
    const reason = new StoreError("shutting_down", "the store is shutting down");
    const closed = [...this.#acceptors.values()].map((acceptor) => acceptor.close(reason));
    await Promise.allSettled(closed);
    await this.#server?.stop(AbortSignal.abort());
  }
}
