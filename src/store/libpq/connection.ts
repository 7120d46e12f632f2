import { once } from "node:events";
import type { Socket } from "node:net";
import { errorChain, errorCode } from "../../errors/coded_error.ts";
import type { Logger } from "../../telemetry/log.ts";
import { display } from "../../telemetry/log_line.ts";
import {
  encodeAuthenticationCleartextPassword,
  encodeAuthenticationOk,
  encodeBindComplete,
  encodeCloseComplete,
  encodeErrorResponse,
  encodeNoData,
  encodeParameterDescription,
  encodeParameterStatus,
  encodeParseComplete,
  encodeReadyForQuery,
  type FrontendMessage,
} from "../../wire/postgres_protocol.ts";
import type { Claims, TokenVerifier } from "../token.ts";
import { MessageQueue } from "./message_queue.ts";
import type { LibpqHandler, LibpqService, LibpqSession, QueryProtocol } from "./session.ts";

/** Who says nothing for this long is disconnected without a word (contract: storage-protocols.md 1.2). */
const IDLE_TIMEOUT_MS = 600_000;
const STARTUP_TIMEOUT_MS = 60_000;
const INTERNAL_ERROR = "XX000";
const PROTOCOL_VIOLATION = "08P01";

export interface ConnectionOptions {
  readonly socket: Socket;
  readonly service: LibpqService;
  /** Undefined: everyone is trusted. */
  readonly verify: TokenVerifier | undefined;
  readonly log: Logger;
  /** Aborts to end what this connection does at once. */
  readonly signal: AbortSignal;
}

/** One client, from its first byte to its last. */
export class LibpqConnection {
  readonly #options: ConnectionOptions;
  readonly #socket: Socket;
  readonly #messages: MessageQueue;
  readonly #signal: AbortSignal;
  /** Queries of prepared statements and of portals, by name. */
  readonly #statements = new Map<string, string>();
  readonly #portals = new Map<string, string>();
  #busy = false;
  #closing = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#socket = options.socket;
    this.#socket.setNoDelay(true);
    this.#messages = new MessageQueue(options.socket);
    this.#signal = AbortSignal.any([this.#messages.gone, options.signal]);
  }

  /** Lets the running command finish, but takes no other. */
  drain(): void {
    this.#closing = true;
    if (!this.#busy) this.#socket.destroy();
  }

  /** Settles when the connection is over; never rejects. */
  async run(): Promise<void> {
    const { log } = this.#options;
    const stop = (): void => {
      this.#socket.destroy();
    };
    this.#options.signal.addEventListener("abort", stop, { once: true });
    try {
      await this.#serve();
    } catch (error) {
      // A client that is gone needs no answer and no log line.
      if (!this.#messages.gone.aborted) {
        log.warn("connection ended by an error", { peer: display(this.#peer()), error: errorChain(error) });
        const code = errorCode(error) === "protocol_violation" ? PROTOCOL_VIOLATION : INTERNAL_ERROR;
        this.#socket.end(encodeErrorResponse({ severity: "ERROR", code, message: errorChain(error) }));
      }
    } finally {
      this.#options.signal.removeEventListener("abort", stop);
      if (!this.#socket.writableEnded) this.#socket.end();
      this.#socket.destroySoon();
    }
  }

  async #serve(): Promise<void> {
    const parameters = await this.#startUp();
    if (!parameters) return;
    const claims = await this.#authenticate();
    if (claims === "refused") return;
    const session: LibpqSession = {
      parameters,
      claims,
      signal: this.#signal,
      send: (...messages) => this.#send(...messages),
      takeOver: (receive) => {
        this.#socket.setTimeout(IDLE_TIMEOUT_MS, () => this.#socket.destroy());
        this.#messages.handOver(receive);
        return {
          write: (message) => {
            if (this.#socket.writable) this.#socket.write(message);
          },
          end: (message) => {
            if (this.#socket.writable) this.#socket.end(message ?? Buffer.alloc(0));
            this.#socket.destroySoon();
          },
        };
      },
    };
    const handler = this.#options.service(session);
    await this.#send(
      encodeAuthenticationOk(),
      encodeParameterStatus("client_encoding", "UTF8"),
      // For our own clients: a stored base backup can be had without compression at little cost.
      encodeParameterStatus("neon_store_version", "1"),
      ...(claims
        ? []
        : [encodeParameterStatus("integer_datetimes", "on"), encodeParameterStatus("server_version", "14.1")]),
      encodeReadyForQuery(),
    );
    await this.#loop(handler);
  }

  async #startUp(): Promise<ReadonlyMap<string, string> | undefined> {
    for (;;) {
      const message = await this.#messages.next(STARTUP_TIMEOUT_MS);
      if (message?.type === "sslRequest" || message?.type === "gssEncRequest") await this.#send(Buffer.from("N"));
      else return message?.type === "startup" ? message.parameters : undefined;
    }
  }

  async #authenticate(): Promise<Claims | undefined | "refused"> {
    const { verify, log } = this.#options;
    if (!verify) return undefined;
    await this.#send(encodeAuthenticationCleartextPassword());
    const message = await this.#messages.next(STARTUP_TIMEOUT_MS);
    if (message?.type !== "password") return "refused";
    try {
      return await verify(message.password);
    } catch (error) {
      log.warn("refused a token", { peer: display(this.#peer()), error: errorChain(error) });
      await this.#send(
        encodeErrorResponse({ severity: "ERROR", code: INTERNAL_ERROR, message: "JWT authentication error" }),
      );
      return "refused";
    }
  }

  async #loop(handler: LibpqHandler): Promise<void> {
    // After a failure of the extended protocol everything up to Sync is skipped.
    let skipping = false;
    while (!this.#closing) {
      const message = await this.#messages.next(IDLE_TIMEOUT_MS);
      if (!message || message.type === "terminate") return;
      if (message.type === "sync") {
        skipping = false;
        await this.#send(encodeReadyForQuery());
      } else if (message.type === "query") {
        skipping = false;
        if ((await this.#execute(handler, message.text, "simple")) === "close") return;
        await this.#send(encodeReadyForQuery());
      } else if (!skipping) {
        const outcome = await this.#extended(handler, message);
        if (outcome === "close") return;
        skipping = outcome === "failed";
      }
    }
  }

  async #extended(handler: LibpqHandler, message: FrontendMessage): Promise<"done" | "failed" | "close"> {
    switch (message.type) {
      case "parse":
        this.#statements.set(message.statement, message.query);
        await this.#send(encodeParseComplete());
        return "done";
      case "bind": {
        const query = this.#statements.get(message.statement);
        if (query === undefined) return await this.#fail(`prepared statement "${message.statement}" does not exist`);
        this.#portals.set(message.portal, query);
        await this.#send(encodeBindComplete());
        return "done";
      }
      case "describe":
        // No command tells its columns beforehand, as in the original.
        await this.#send(...(message.target === "statement" ? [encodeParameterDescription()] : []), encodeNoData());
        return "done";
      case "execute": {
        const query = this.#portals.get(message.portal);
        if (query === undefined) return await this.#fail(`portal "${message.portal}" does not exist`);
        return await this.#execute(handler, query, "extended");
      }
      case "close":
        (message.target === "statement" ? this.#statements : this.#portals).delete(message.name);
        await this.#send(encodeCloseComplete());
        return "done";
      case "flush":
      // Left over from a COPY that ended early.
      case "copyData":
      case "copyDone":
      case "copyFail":
        return "done";
      default:
        return await this.#fail(`unexpected message ${message.type}`);
    }
  }

  async #fail(message: string): Promise<"failed"> {
    await this.#send(encodeErrorResponse({ severity: "ERROR", code: PROTOCOL_VIOLATION, message }));
    return "failed";
  }

  async #execute(handler: LibpqHandler, query: string, protocol: QueryProtocol): Promise<"done" | "failed" | "close"> {
    this.#busy = true;
    try {
      return await handler.execute(query, protocol);
    } catch (error) {
      if (this.#messages.gone.aborted) return "close";
      const { code, message, closes } = handler.describe(error, protocol);
      this.#options.log.warn("command failed", { query, peer: display(this.#peer()), error: errorChain(error) });
      await this.#send(encodeErrorResponse({ severity: "ERROR", code, message }));
      return closes ? "close" : "failed";
    } finally {
      this.#busy = false;
    }
  }

  async #send(...messages: Uint8Array[]): Promise<void> {
    this.#messages.gone.throwIfAborted();
    this.#socket.cork();
    let room = true;
    for (const message of messages) room = this.#socket.write(message);
    this.#socket.uncork();
    if (!room) await once(this.#socket, "drain", { signal: this.#messages.gone });
  }

  #peer(): string {
    return `${this.#socket.remoteAddress ?? "?"}:${this.#socket.remotePort ?? "?"}`;
  }
}
