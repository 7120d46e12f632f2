import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { ListenAddress } from "../../src/store/listen_address.ts";
import {
  type BackendMessage,
  BackendMessageParser,
  encodePasswordMessage,
  encodeQuery,
  encodeStartupMessage,
  encodeTerminate,
} from "../../src/wire/postgres_protocol.ts";

/** What came until `ReadyForQuery` or the end of the connection. CopyData is counted once in the sequence. */
export interface LibpqReply {
  readonly types: readonly BackendMessage["type"][];
  readonly messages: readonly BackendMessage[];
  readonly copied: Buffer;
  readonly rows: readonly (readonly (string | null)[])[];
  readonly error: { readonly severity: string; readonly code: string; readonly message: string } | undefined;
  readonly tag: string | undefined;
}

/** A client that shows every message it gets. */
export class RawClient implements AsyncDisposable {
  readonly socket: Socket;
  /** What came until the first `ReadyForQuery`. */
  startup: LibpqReply | undefined;
  #parser = new BackendMessageParser({ streamCopyData: true });
  readonly #messages: BackendMessage[] = [];
  #wake: () => void = () => undefined;
  #closed = false;

  /** Over a connection on which the start-up packet was not sent yet. */
  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk) => {
      this.#messages.push(...this.#parser.push(chunk));
      this.#wake();
    });
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.#closed = true;
      this.#wake();
    });
  }

  /** A connection before its start-up packet. */
  static async open({ host, port }: ListenAddress): Promise<RawClient> {
    const socket = connect({ host, port });
    await once(socket, "connect");
    return new RawClient(socket);
  }

  static async connect(
    address: ListenAddress,
    { password, options }: { password?: string; options?: string } = {},
  ): Promise<RawClient> {
    const client = await RawClient.open(address);
    client.socket.write(encodeStartupMessage({ user: "no_user", options }));
    if (password !== undefined) client.socket.write(encodePasswordMessage(password));
    client.startup = await client.reply();
    return client;
  }

  get closed(): boolean {
    return this.#closed;
  }

  async query(text: string): Promise<LibpqReply> {
    this.socket.write(encodeQuery(text));
    return await this.reply();
  }

  async send(...messages: readonly Buffer[]): Promise<LibpqReply> {
    this.socket.write(Buffer.concat(messages));
    return await this.reply();
  }

  /** Gathers messages until `ReadyForQuery`, an error before it included, or until the server hangs up. */
  async reply(): Promise<LibpqReply> {
    const messages: BackendMessage[] = [];
    for (;;) {
      const message = this.#messages.shift();
      if (message) messages.push(message);
      else if (this.#closed) break;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
      if (message?.type === "readyForQuery") break;
    }
    const failed = messages.find((message) => message.type === "errorResponse");
    return {
      types: messages
        .map(({ type }) => type)
        .filter((type, index, all) => type !== "copyData" || all[index - 1] !== type),
      messages,
      copied: Buffer.concat(messages.flatMap((message) => (message.type === "copyData" ? [message.data] : []))),
      rows: messages.flatMap((message) =>
        message.type === "dataRow" ? [message.values.map((value) => value?.toString() ?? null)] : [],
      ),
      error: failed?.type === "errorResponse" ? failed.fields : undefined,
      tag: messages.flatMap((message) => (message.type === "commandComplete" ? [message.tag] : [])).at(-1),
    };
  }

  /** The next message; undefined when the server has hung up. CopyData of a COPY BOTH is whole. */
  async next(): Promise<BackendMessage | undefined> {
    while (this.#messages.length === 0 && !this.#closed) await new Promise<void>((resolve) => (this.#wake = resolve));
    return this.#messages.shift();
  }

  /** Sends a command and waits until COPY BOTH has begun. */
  async startCopy(text: string): Promise<void> {
    this.#parser = new BackendMessageParser();
    this.socket.write(encodeQuery(text));
    const answer = await this.next();
    if (answer?.type === "errorResponse") throw new Error(answer.fields.message);
    if (answer?.type !== "copyBothResponse") throw new Error(`got ${answer?.type} instead of CopyBothResponse`);
  }

  /** Settles when the server has hung up. */
  async hungUp(): Promise<void> {
    while (!this.#closed) await new Promise<void>((resolve) => (this.#wake = resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.socket.end(encodeTerminate());
    await this.hungUp();
  }
}
