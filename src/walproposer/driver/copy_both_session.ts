import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { CodedError } from "../../errors/coded_error.ts";
import {
  type BackendMessage,
  BackendMessageParser,
  encodeCopyDataHeader,
  encodePasswordMessage,
  encodeQuery,
  encodeStartupMessage,
  encodeTerminate,
} from "../../wire/postgres_protocol.ts";

const NOTHING = Buffer.alloc(0);

/** Where a server listens. */
export type SessionTarget = { readonly host: string; readonly port: number } | { readonly path: string };

export interface CopyBothOptions {
  readonly target: SessionTarget;
  readonly parameters: { readonly user: string } & Readonly<Record<string, string | undefined>>;
  readonly password?: string | undefined;
  /** For the socket and the start-up. */
  readonly connectTimeoutMs: number;
}

/** What happens on a session once COPY BOTH has begun. */
export interface CopyBothHandlers {
  /** CopyBothResponse has come. */
  onStart?(): void;
  /** A whole CopyData payload: a view on what the socket gave. */
  onData(payload: Buffer): void;
  /** All payloads of one socket read were handed over. */
  onBatchEnd?(): void;
  /** The end, once: an ErrorResponse's text, the reason the socket gave, or undefined for an orderly end. */
  onEnd(reason: string | undefined): void;
}

interface Pending {
  readonly rows: (string | null)[][];
  readonly copy: CopyBothHandlers | undefined;
  readonly resolve: (rows: (string | null)[][]) => void;
  readonly reject: (error: Error) => void;
}

/**
 * A session that runs a few simple queries and then goes into COPY BOTH: the replication protocol's and the safekeeper's way
 * of talking. Payloads are handed over in the turn in which they arrive, nothing is queued.
 */
export class CopyBothSession {
  readonly #socket: Socket;
  readonly #parser = new BackendMessageParser();
  readonly #password: string | undefined;
  #pending: Pending | undefined;
  #copy: CopyBothHandlers | undefined;
  #lastError: CodedError | undefined;
  #closed = false;

  private constructor(socket: Socket, password: string | undefined) {
    this.#socket = socket;
    this.#password = password;
  }

  /** Connects and authenticates. @throws CodedError with the SQLSTATE as code, or the system's error */
  static async connect(options: CopyBothOptions): Promise<CopyBothSession> {
    const { target } = options;
    const socket = "path" in target ? connect(target.path) : connect({ ...target, noDelay: true });
    const session = new CopyBothSession(socket, options.password);
    const where = "path" in target ? target.path : `${target.host}:${target.port}`;
    const timer = setTimeout(
      () =>
        socket.destroy(
          new CodedError("connect_timeout", `no session with ${where} within ${options.connectTimeoutMs} ms`),
        ),
      options.connectTimeoutMs,
    );
    try {
      await once(socket, "connect");
      const ready = session.#expect(undefined);
      session.#listen();
      socket.write(encodeStartupMessage(options.parameters));
      await ready;
      return session;
    } catch (error) {
      session.close();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Rows of one simple query, values as text. */
  async query(sql: string): Promise<(string | null)[][]> {
    const rows = this.#expect(undefined);
    this.#socket.write(encodeQuery(sql));
    return await rows;
  }

  /** Runs a command that answers with CopyBothResponse; resolves when it came. */
  async startCopy(sql: string, handlers: CopyBothHandlers): Promise<void> {
    const started = this.#expect(handlers);
    this.#socket.write(encodeQuery(sql));
    await started;
  }

  /** Sends one CopyData made of these parts, without copying them. */
  send(...parts: readonly Uint8Array[]): void {
    if (this.#closed) return;
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    this.#socket.cork();
    this.#socket.write(encodeCopyDataHeader(length));
    for (const part of parts) if (part.length > 0) this.#socket.write(part);
    this.#socket.uncork();
  }

  /** Bytes that the peer has not taken yet. */
  get backlog(): number {
    return this.#socket.writableLength;
  }

  /** Calls back once the system has taken everything that was sent so far; not at all when the session ends before. */
  whenDrained(callback: () => void): void {
    if (this.#socket.writableLength === 0) callback();
    // Not "drain": that comes only when a write overfilled the buffer, and little may be waiting.
    else
      this.#socket.write(NOTHING, (error) => {
        if (!error) callback();
      });
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Ends the session; handlers hear nothing of it. Safe to call again. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#copy = undefined;
    this.#fail(new CodedError("session_closed", "the session was closed"));
    if (this.#socket.writable && !this.#socket.connecting) this.#socket.end(encodeTerminate());
    this.#socket.destroySoon();
  }

  #expect(copy: CopyBothHandlers | undefined): Promise<(string | null)[][]> {
    return new Promise((resolve, reject) => {
      if (this.#closed) reject(new CodedError("session_closed", "the session is over"));
      else this.#pending = { rows: [], copy, resolve, reject };
    });
  }

  #listen(): void {
    this.#socket.on("data", (chunk: Buffer) => {
      try {
        for (const message of this.#parser.push(chunk)) this.#receive(message);
        this.#copy?.onBatchEnd?.();
      } catch (error) {
        this.#socket.destroy(error instanceof Error ? error : new Error(String(error)));
      }
    });
    this.#socket.on("error", (error) => this.#end(error.message, error));
    this.#socket.on("close", () => this.#end(undefined, undefined));
  }

  #receive(message: BackendMessage): void {
    switch (message.type) {
      case "copyData":
        this.#copy?.onData(message.data);
        return;
      case "dataRow":
        this.#pending?.rows.push(message.values.map((value) => value?.toString("utf8") ?? null));
        return;
      case "copyBothResponse": {
        const pending = this.#take();
        this.#copy = pending?.copy;
        this.#copy?.onStart?.();
        pending?.resolve([]);
        return;
      }
      case "readyForQuery": {
        const pending = this.#take();
        if (this.#lastError) pending?.reject(this.#lastError);
        else pending?.resolve(pending.rows);
        this.#lastError = undefined;
        return;
      }
      case "errorResponse":
        this.#lastError = new CodedError(message.fields.code, `${message.fields.severity}: ${message.fields.message}`);
        // A start-up that failed, or a COPY that the server ends: no ReadyForQuery follows.
        if (this.#copy) this.#end(message.fields.message, this.#lastError);
        return;
      case "authenticationCleartextPassword":
        if (this.#password === undefined)
          throw new CodedError("password_required", "the server asks for a password, but there is none");
        this.#socket.write(encodePasswordMessage(this.#password));
        return;
      case "authenticationMd5Password":
      case "authenticationSasl":
      case "authenticationOther":
        throw new CodedError(
          "unsupported_authentication",
          "the server asks for an authentication that is not supported",
        );
      case "copyDone":
        this.#end(undefined, undefined);
        return;
      default:
        return;
    }
  }

  #take(): Pending | undefined {
    const pending = this.#pending;
    this.#pending = undefined;
    return pending;
  }

  #fail(error: Error): void {
    this.#take()?.reject(error);
  }

  #end(reason: string | undefined, error: Error | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    const copy = this.#copy;
    this.#copy = undefined;
    this.#fail(this.#lastError ?? error ?? new CodedError("connection_lost", "the server closed the connection"));
    this.#socket.destroySoon();
    copy?.onEnd(reason);
  }
}
