import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import {
  encodeAuthenticationCleartextPassword,
  encodeAuthenticationOk,
  encodeParameterStatus,
  encodeReadyForQuery,
  type FrontendMessage,
  FrontendMessageParser,
} from "../../src/wire/postgres_protocol.ts";

/** What a client of {@link startLibpqServer} said before its first query. */
interface ScriptedSession {
  readonly parameters: ReadonlyMap<string, string>;
  readonly password: string | undefined;
  readonly query: string;
  readonly socket: Socket;
}

export interface ScriptedLibpqServer extends AsyncDisposable {
  readonly port: number;
  /** One for each query, in order of arrival. */
  readonly sessions: readonly ScriptedSession[];
}

export interface ScriptedLibpqOptions {
  /** `jwt`: asks for a password and sends neither key data nor a version (contract: storage-protocols.md 1.2). */
  readonly auth?: "trust" | "jwt";
  /** Told when a session begins, beside the usual ones. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** Instead of accepting the password. */
  readonly refuse?: Buffer;
  /** Bytes of the answer to each query; the script may also end the socket. */
  readonly answer: (session: ScriptedSession, index: number) => Buffer | Promise<Buffer> | undefined;
}

/** A pageserver or safekeeper on loopback that says what a test tells it to. */
export async function startLibpqServer(options: ScriptedLibpqOptions): Promise<ScriptedLibpqServer> {
  const sessions: ScriptedSession[] = [];
  const sockets = new Set<Socket>();
  const ready = (): Buffer =>
    Buffer.concat([
      encodeAuthenticationOk(),
      encodeParameterStatus("client_encoding", "UTF8"),
      ...Object.entries(options.parameters ?? {}).map(([name, value]) => encodeParameterStatus(name, value)),
      ...(options.auth === "jwt"
        ? []
        : [encodeParameterStatus("integer_datetimes", "on"), encodeParameterStatus("server_version", "14.1")]),
      encodeReadyForQuery(),
    ]);
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => undefined);
    const parser = new FrontendMessageParser();
    let parameters: ReadonlyMap<string, string> = new Map();
    let password: string | undefined;
    const handle = async (message: FrontendMessage): Promise<void> => {
      if (message.type === "startup") {
        parameters = message.parameters;
        socket.write(options.auth === "jwt" ? encodeAuthenticationCleartextPassword() : ready());
      } else if (message.type === "password") {
        password = message.password;
        if (options.refuse) socket.end(options.refuse);
        else socket.write(ready());
      } else if (message.type === "query") {
        const session = { parameters, password, query: message.text, socket };
        sessions.push(session);
        const answer = await options.answer(session, sessions.length - 1);
        if (answer && !socket.destroyed) socket.write(answer);
      }
    };
    socket.on("data", (chunk) => {
      for (const message of parser.push(chunk)) void handle(message);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    sessions,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
