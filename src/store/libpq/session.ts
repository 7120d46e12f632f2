import type { FrontendMessage } from "../../wire/postgres_protocol.ts";
import type { Claims } from "../token.ts";

/** How a command arrived; failures are worded differently (contract: storage-protocols.md 1.5). */
export type QueryProtocol = "simple" | "extended";

/** What a command's handler has of the connection it came from. */
export interface LibpqSession {
  /** Start-up parameters: `user`, `options`, `application_name`, ... */
  readonly parameters: ReadonlyMap<string, string>;
  /** Undefined when the server asks for no token. */
  readonly claims: Claims | undefined;
  /** Aborts when the client is gone or the server ends the connection. */
  readonly signal: AbortSignal;
  /** Sends protocol messages; settles when the client can take more. Rejects when it is gone. */
  send(...messages: Uint8Array[]): Promise<void>;
  /**
   * Takes the connection over for a COPY BOTH: from now on every read of the socket is handed to `receive` in the turn in
   * which it comes, those that are queued at once. The command must end with `close`.
   */
  takeOver(receive: (batch: MessageBatch) => void): TakenConnection;
}

/** What one read of the socket brought. */
export interface MessageBatch {
  readonly messages: readonly FrontendMessage[];
  /** The read was as large as a read can be: there is probably more to come at once. */
  readonly more: boolean;
  /** Bytes that are no protocol: nothing comes after them. */
  readonly failure: unknown;
}

export interface TakenConnection {
  /** Sends without waiting; for answers that are small beside what was read. */
  write(message: Uint8Array): void;
  /** Sends the last message, if any, and hangs up. */
  end(message?: Uint8Array): void;
}

/** What the client is told about a failed command. */
export interface LibpqFailure {
  /** SQLSTATE. */
  readonly code: string;
  readonly message: string;
  /** True when the connection ends after the message. */
  readonly closes: boolean;
}

/** One connection's commands. */
export interface LibpqHandler {
  /**
   * Sends everything of the answer but `ReadyForQuery`. Whatever it throws is worded by `describe`. `close`: the connection
   * is used up.
   */
  execute(query: string, protocol: QueryProtocol): Promise<"done" | "close">;
  describe(error: unknown, protocol: QueryProtocol): LibpqFailure;
}

/** A server's side of the protocol. Throws to refuse a client for its start-up parameters. */
export type LibpqService = (session: LibpqSession) => LibpqHandler;
