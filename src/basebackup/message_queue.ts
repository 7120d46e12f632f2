import type { Socket } from "node:net";
import { CodedError } from "../errors/coded_error.ts";
import { type BackendMessage, BackendMessageParser } from "../wire/postgres_protocol.ts";

/** The messages a server sent, in order, and the end of its connection. At most one socket read is parsed ahead. */
export class MessageQueue {
  readonly #socket: Socket;
  readonly #parser = new BackendMessageParser({ streamCopyData: true });
  #messages: BackendMessage[] = [];
  #at = 0;
  #error: Error | undefined;
  #waiter: { resolve: (message: BackendMessage) => void; reject: (error: Error) => void } | undefined;
  #silenceMs = 0;
  #paused = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("end", () => this.#finish(new CodedError("connection_lost", "the server closed the connection")));
    socket.on("close", () => this.#finish(new CodedError("connection_lost", "the connection is closed")));
    socket.on("error", (error) => this.#finish(error));
    // While we do not read, silence is ours.
    socket.on("timeout", () => {
      if (!this.#paused) this.fail(new CodedError("read_timeout", `the server sent nothing for ${this.#silenceMs} ms`));
    });
  }

  /** The next message that has arrived. */
  take(): BackendMessage | undefined {
    const message = this.#messages[this.#at];
    if (message !== undefined) this.#at++;
    return message;
  }

  /** The next message that arrives; rejects with the reason when none can any more. Only after `take` gave nothing. */
  wait(): Promise<BackendMessage> {
    this.#messages = [];
    this.#at = 0;
    if (this.#error) return Promise.reject(this.#error);
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
      if (this.#paused) {
        this.#paused = false;
        this.#socket.setTimeout(this.#silenceMs);
        this.#socket.resume();
      }
    });
  }

  /** From now on, fail when the server sends nothing for so long; 0: never. */
  limitSilence(milliseconds: number): void {
    this.#silenceMs = milliseconds;
    this.#socket.setTimeout(milliseconds);
  }

  /** Ends everything at once: what has arrived is dropped too. */
  fail(error: Error): void {
    this.#messages = [];
    this.#at = 0;
    this.#finish(error);
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    if (this.#error) return;
    try {
      this.#messages.push(...this.#parser.push(chunk));
    } catch (error) {
      this.fail(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    const message = this.#messages.length > this.#at ? this.#waiter && this.take() : undefined;
    if (message) {
      const waiter = this.#waiter;
      this.#waiter = undefined;
      waiter?.resolve(message);
    }
    if (this.#waiter === undefined) {
      this.#paused = true;
      this.#socket.pause();
    }
  }

  #finish(error: Error): void {
    this.#error ??= error;
    const waiter = this.#waiter;
    this.#waiter = undefined;
    waiter?.reject(this.#error);
  }
}
