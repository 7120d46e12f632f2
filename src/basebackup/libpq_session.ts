import { connect, type Socket } from "node:net";
import { CodedError } from "../errors/coded_error.ts";
import { parseConnectionString } from "../wire/connection_string.ts";
import {
  type BackendMessage,
  encodePasswordMessage,
  encodeQuery,
  encodeStartupMessage,
  encodeTerminate,
} from "../wire/postgres_protocol.ts";
import { MessageQueue } from "./message_queue.ts";
import { ServerError, type SessionPhase } from "./server_error.ts";

export interface LibpqOptions {
  readonly connectionString: string;
  /** Overrides the one in the string (contract: storage-protocols.md 0.1). */
  readonly password?: string | undefined;
  readonly applicationName?: string | undefined;
  readonly options?: string | undefined;
  /** Until the server is ready for a query. */
  readonly connectTimeoutMs: number;
  /** Longest silence in an answer. */
  readonly idleTimeoutMs: number;
  readonly signal: AbortSignal;
}

export interface QueryResult {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | null)[])[];
}

/**
 * A plain session with a pageserver or safekeeper: no TLS, simple queries, one at a time. After any error the session is
 * over; `close` is always safe. Errors: {@link ServerError} and `connect_timeout`, `read_timeout`, `connection_lost`,
 * `password_required`, `unsupported_authentication`, `tls_unsupported`, `protocol_violation`, or the system's.
 */
export class LibpqSession {
  readonly #socket: Socket;

  readonly #messages: MessageQueue;
  readonly #idleTimeoutMs: number;
  readonly #stopListening: () => void;
  #phase: SessionPhase = "startup";
  /** What the server says of itself: `server_version` and the like, as far as it sent them. */
  readonly parameters = new Map<string, string>();

  private constructor(socket: Socket, options: LibpqOptions) {
    this.#socket = socket;
    this.#idleTimeoutMs = options.idleTimeoutMs;
    this.#messages = new MessageQueue(socket);
    const abort = (): void => this.#messages.fail(abortReason(options.signal));
    options.signal.addEventListener("abort", abort, { once: true });
    this.#stopListening = () => options.signal.removeEventListener("abort", abort);
  }

  /** The peer is on this machine. */
  get isLocal(): boolean {
    const address = this.#socket.remoteAddress;
    return address === undefined || address === "::1" || /^(::ffff:)?127\./.test(address);
  }

  static async connect(options: LibpqOptions): Promise<LibpqSession> {
    if (options.signal.aborted) throw abortReason(options.signal);
    const { host, port, user, password, parameters } = parseConnectionString(options.connectionString);
    const sslmode = parameters.get("sslmode") ?? "disable";
    if (!["disable", "allow", "prefer"].includes(sslmode))
      throw new CodedError("tls_unsupported", `sslmode=${sslmode}: connections to storage are made without TLS`);
    const place = host.startsWith("/") ? `${host}/.s.PGSQL.${port}` : `${host}:${port}`;
    const socket = host.startsWith("/") ? connect({ path: place }) : connect({ host, port, noDelay: true });
    const session = new LibpqSession(socket, options);
    const timer = setTimeout(
      () =>
        session.#messages.fail(
          new CodedError("connect_timeout", `no session with ${place} within ${options.connectTimeoutMs} ms`),
        ),
      options.connectTimeoutMs,
    );
    try {
      socket.write(
        encodeStartupMessage({
          user: user ?? "no_user",
          database: parameters.get("dbname"),
          application_name: options.applicationName ?? parameters.get("application_name"),
          options: options.options ?? parameters.get("options"),
          client_encoding: "UTF8",
        }),
      );
      await session.#authenticate(options.password ?? password);
      return session;
    } catch (error) {
      session.close();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Rows of a simple query; values as text. */
  async query(text: string): Promise<QueryResult> {
    let columns: string[] = [];
    const rows: (string | null)[][] = [];
    this.#send(text);
    for (;;) {
      const message = await this.#next();
      switch (message.type) {
        case "rowDescription":
          columns = message.columns.map((column) => column.name);
          break;
        case "dataRow":
          rows.push(message.values.map((value) => value?.toString("utf8") ?? null));
          break;
        case "commandComplete":
        case "emptyQueryResponse":
          break;
        case "readyForQuery":
          this.#messages.limitSilence(0);
          return { columns, rows };
        default:
          throw unexpected(message);
      }
    }
  }

  /**
   * The bytes of a COPY OUT. The iteration ends normally only after CopyDone *and* CommandComplete; a cut connection or
   * an error of the server, also after the last byte, is thrown (contract: storage-protocols.md 1.4). Slow readers hold
   * the server back; nothing but the last socket reads is kept.
   */
  async *copyOut(text: string): AsyncGenerator<Buffer, void, void> {
    this.#send(text);
    const first = await this.#next();
    if (first.type !== "copyOutResponse") throw unexpected(first);
    for (;;) {
      const message = await this.#next();
      if (message.type === "copyData") yield message.data;
      else if (message.type === "copyDone") break;
      else throw unexpected(message);
    }
    const last = await this.#next();
    if (last.type !== "commandComplete") throw unexpected(last);
  }

  /** Ends the session politely; safe to call more than once and at any time. */
  close(): void {
    this.#stopListening();
    if (!this.#socket.connecting && this.#socket.writable) this.#socket.write(encodeTerminate());
    this.#messages.fail(new CodedError("session_closed", "the session was closed"));
  }

  async #authenticate(password: string | undefined): Promise<void> {
    for (;;) {
      const message = await this.#next();
      switch (message.type) {
        case "authenticationOk":
          this.#phase = "startup";
          break;
        case "authenticationCleartextPassword":
          this.#answerPassword(required(password));
          break;
        // Neither key data nor a server version has to come (contract: storage-protocols.md 1.2).
        case "backendKeyData":
        case "negotiateProtocolVersion":
          break;
        case "readyForQuery":
          this.#phase = "query";
          return;
        case "authenticationMd5Password":
        case "authenticationSasl":
        case "authenticationOther":
          throw new CodedError(
            "unsupported_authentication",
            "the server asks for an authentication that storage never uses",
          );
        default:
          throw unexpected(message);
      }
    }
  }

  #answerPassword(password: string): void {
    this.#phase = "authentication";
    this.#socket.write(encodePasswordMessage(password));
  }

  #send(text: string): void {
    this.#messages.limitSilence(this.#idleTimeoutMs);
    this.#socket.write(encodeQuery(text));
  }

  async #next(): Promise<BackendMessage> {
    for (;;) {
      const message = this.#messages.take() ?? (await this.#messages.wait());
      if (message.type === "errorResponse") throw new ServerError(message.fields, this.#phase);
      if (message.type === "parameterStatus") this.parameters.set(message.name, message.value);
      else if (message.type !== "noticeResponse" && message.type !== "notificationResponse") return message;
    }
  }
}

function required(password: string | undefined): string {
  if (password === undefined)
    throw new CodedError("password_required", "the server asks for a password, but there is no storage token");
  return password;
}

function unexpected(message: BackendMessage): CodedError {
  return new CodedError("protocol_violation", `the server sent ${message.type} where it makes no sense`);
}

function abortReason(signal: AbortSignal): Error {
  const reason: unknown = signal.reason;
  return reason instanceof Error ? reason : new CodedError("aborted", "stopped", { cause: reason });
}
