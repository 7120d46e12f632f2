import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { onTestFinished } from "vitest";
import {
  encodeAuthenticationOk,
  encodeReadyForQuery,
  type FrontendMessage,
  FrontendMessageParser,
} from "../../../src/wire/postgres_protocol.ts";

export interface CopyBothServer {
  readonly port: number;
  /** Everything that clients sent. */
  readonly received: readonly FrontendMessage[];
  /** The connections that are open, newest last. */
  readonly sockets: readonly Socket[];
}

export interface CopyBothScript {
  query(text: string, socket: Socket): Buffer;
  data?(payload: Buffer, socket: Socket): Buffer | undefined;
}

/** A server on loopback that answers queries and CopyData as a test tells it to; it goes with the test. */
export async function startCopyBothServer(script: CopyBothScript): Promise<CopyBothServer> {
  const received: FrontendMessage[] = [];
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("close", () => sockets.splice(sockets.indexOf(socket), 1));
    socket.on("error", () => undefined);
    const parser = new FrontendMessageParser();
    const answer = (message: FrontendMessage): Buffer | undefined => {
      if (message.type === "startup") return Buffer.concat([encodeAuthenticationOk(), encodeReadyForQuery()]);
      if (message.type === "query") return script.query(message.text, socket);
      if (message.type === "copyData") return script.data?.(message.data, socket);
      return undefined;
    };
    socket.on("data", (chunk) => {
      for (const message of parser.push(chunk)) {
        received.push(message.type === "copyData" ? { ...message, data: Buffer.from(message.data) } : message);
        const bytes = answer(message);
        if (bytes !== undefined) socket.write(bytes);
      }
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, received, sockets };
}
