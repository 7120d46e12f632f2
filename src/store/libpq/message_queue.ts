import type { Socket } from "node:net";
import { type FrontendMessage, FrontendMessageParser } from "../../wire/postgres_protocol.ts";
import type { MessageBatch } from "./session.ts";

/** Beyond this the client is not read any further until its messages were dealt with. */
const MAX_QUEUED = 64;
/** As much as Node reads from a socket at once. */
const LARGEST_READ = 65_536;

/**
 * A client's messages one after the other. Reads on while a command runs, because that is how its end is noticed by a
 * command that waits.
 */
export class MessageQueue {
  readonly #socket: Socket;
  readonly #parser = new FrontendMessageParser();
  readonly #messages: FrontendMessage[] = [];
  readonly #gone = new AbortController();
  #failure: unknown;
  #wake: (() => void) | undefined;
  #receive: ((batch: MessageBatch) => void) | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    const end = (reason: unknown): void => {
      this.#gone.abort(reason);
      this.#wake?.();
    };
    socket.on("end", () => end(new Error("the client closed the connection")));
    socket.on("error", end);
    socket.on("close", () => end(new Error("the connection was closed")));
  }

  /** Aborts when the client is gone. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** The next message; undefined when the client is gone or was silent for too long. Throws ProtocolError. */
  async next(timeoutMs: number): Promise<FrontendMessage | undefined> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const message = this.#messages.shift();
      if (message) {
        if (this.#messages.length < MAX_QUEUED) this.#socket.resume();
        return message;
      }
      if (this.#failure !== undefined) throw this.#failure;
      const left = deadline - performance.now();
      if (this.#gone.signal.aborted || left <= 0) return undefined;
      await this.#sleep(left);
    }
  }

  /** Nothing is queued any more: `receive` gets what there is and every later read. */
  handOver(receive: (batch: MessageBatch) => void): void {
    this.#receive = receive;
    this.#socket.resume();
    const messages = this.#messages.splice(0);
    if (messages.length > 0 || this.#failure !== undefined) receive({ messages, more: false, failure: this.#failure });
  }

  #take(chunk: Buffer): void {
    if (this.#failure !== undefined) return;
    let messages: FrontendMessage[] = [];
    try {
      messages = this.#parser.push(chunk);
    } catch (error) {
      this.#failure = error;
    }
    if (this.#receive) {
      this.#receive({ messages, more: chunk.length >= LARGEST_READ, failure: this.#failure });
      return;
    }
    this.#messages.push(...messages);
    if (this.#messages.length >= MAX_QUEUED) this.#socket.pause();
    this.#wake?.();
  }

  async #sleep(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    this.#wake = resolve;
    await promise;
    clearTimeout(timer);
    this.#wake = undefined;
  }
}
