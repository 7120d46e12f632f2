import { errorChain } from "../../errors/coded_error.ts";
import type { AcceptorMessage, ProposerMessage } from "../../wire/safekeeper/messages.ts";
import { protocol3 } from "../../wire/safekeeper/protocol3.ts";
import { CopyBothSession } from "./copy_both_session.ts";

/** Timelines are created explicitly: a greeting that makes one would hide a lost disk (contract: storage-protocols.md 5.7.5). */
const COMMAND = "START_WAL_PUSH (proto_version '3', allow_timeline_creation 'false')";
const CONNECT_TIMEOUT_MS = 10_000;

export interface PushConnectionOptions {
  /** `host:port`. */
  readonly address: string;
  readonly tenantId: string;
  readonly timelineId: string;
  readonly token: string | undefined;
}

export interface PushConnectionHandlers {
  onConnected(): void;
  onMessage(message: AcceptorMessage): void;
  /** The end, once; `reason` is the safekeeper's or the system's, if any. */
  onEnd(reason: string | undefined): void;
}

/** One attempt to push WAL to a safekeeper: dial, start COPY BOTH, exchange messages until it ends. */
export class PushConnection {
  readonly #handlers: PushConnectionHandlers;
  #session: CopyBothSession | undefined;
  #over = false;

  constructor(options: PushConnectionOptions, handlers: PushConnectionHandlers) {
    this.#handlers = handlers;
    void this.#open(options);
  }

  send(message: ProposerMessage): void {
    if (message.type === "append") this.#session?.send(protocol3.encodeAppendHeader(message), message.wal);
    else this.#session?.send(protocol3.encodeProposerMessage(message));
  }

  /** Calls back when the safekeeper has taken what was sent. */
  whenDrained(callback: () => void): void {
    this.#session?.whenDrained(callback);
  }

  /** Nothing is heard of it any more. Safe to call again. */
  close(): void {
    this.#over = true;
    this.#session?.close();
  }

  async #open(options: PushConnectionOptions): Promise<void> {
    try {
      const separator = options.address.lastIndexOf(":");
      const host = options.address.slice(0, separator).replace(/^\[(.*)\]$/, "$1");
      const session = await CopyBothSession.connect({
        target: { host, port: Number(options.address.slice(separator + 1)) },
        parameters: {
          user: "no_user",
          database: "replication",
          application_name: "compute_ctl",
          options: `-c timeline_id=${options.timelineId} tenant_id=${options.tenantId}`,
        },
        password: options.token,
        connectTimeoutMs: CONNECT_TIMEOUT_MS,
      });
      this.#session = session;
      if (this.#over) return session.close();
      await session.startCopy(COMMAND, {
        onData: (payload) => this.#receive(payload),
        onEnd: (reason) => this.#end(reason),
      });
      if (!this.#over) this.#handlers.onConnected();
    } catch (error) {
      this.#end(errorChain(error));
    }
  }

  #receive(payload: Buffer): void {
    let message: AcceptorMessage;
    try {
      message = protocol3.decodeAcceptorMessage(payload);
    } catch (error) {
      this.#session?.close();
      this.#end(errorChain(error));
      return;
    }
    if (!this.#over) this.#handlers.onMessage(message);
  }

  #end(reason: string | undefined): void {
    if (this.#over) return;
    this.#over = true;
    this.#session?.close();
    this.#handlers.onEnd(reason);
  }
}
