import { BodyReader } from "./body_reader.ts";
import type { FrontendMessage, StartupPhaseMessage } from "./frontend_message.ts";
import { MessageFramer } from "./message_framer.ts";
import { ProtocolError } from "./protocol_error.ts";

/** PostgreSQL's own limit for start-up packets. */
const MAX_STARTUP_BODY = 10_000;
const SSL_REQUEST = 80877103;
const GSSENC_REQUEST = 80877104;
const CANCEL_REQUEST = 80877102;

export interface FrontendParserOptions {
  /** Greatest body of a message after start-up; 1 MiB unless told. What is larger ends the connection. */
  readonly maxMessageBytes?: number;
}

/** Reads what a client sends, beginning with the start-up phase. Throws {@link ProtocolError}; an error is final. */
export class FrontendMessageParser {
  readonly #framer: MessageFramer;

  constructor(options: FrontendParserOptions = {}) {
    const limit = options.maxMessageBytes ?? 1024 * 1024;
    this.#framer = new MessageFramer({ tagged: false, maxBody: (tag) => (tag === 0 ? MAX_STARTUP_BODY : limit) });
  }

  /** True when no part of a message is held: the connection may end here without loss. */
  get atBoundary(): boolean {
    return this.#framer.atBoundary;
  }

  push(chunk: Buffer): FrontendMessage[] {
    const messages: FrontendMessage[] = [];
    this.#framer.push(chunk, (tag, body) => {
      if (this.#framer.tagged) {
        messages.push(parseMessage(tag, body));
        return;
      }
      const message = parseStartupPhase(body);
      if (message.type === "startup") this.#framer.tagged = true;
      messages.push(message);
    });
    return messages;
  }
}

function parseStartupPhase(body: Buffer): StartupPhaseMessage {
  const reader = new BodyReader(body, "start-up packet");
  const code = reader.int32();
  if (code === SSL_REQUEST || code === GSSENC_REQUEST) {
    reader.end();
    return { type: code === SSL_REQUEST ? "sslRequest" : "gssEncRequest" };
  }
  if (code === CANCEL_REQUEST)
    return { type: "cancelRequest", processId: reader.int32(), secretKey: reader.bytes(reader.left) };
  const majorVersion = code >> 16;
  if (majorVersion !== 3) throw new ProtocolError(`unsupported protocol version ${majorVersion}.${code & 0xffff}`);
  const parameters = new Map<string, string>();
  for (let name = reader.cstring(); name !== ""; name = reader.cstring()) parameters.set(name, reader.cstring());
  reader.end();
  return { type: "startup", majorVersion, minorVersion: code & 0xffff, parameters };
}

function parseMessage(tag: number, body: Buffer): FrontendMessage {
  const letter = String.fromCharCode(tag);
  if (letter === "d") return { type: "copyData", data: body };
  const reader = new BodyReader(body, `message ${JSON.stringify(letter)}`);
  const message = parseFields(letter, reader);
  reader.end();
  return message;
}

function parseFields(letter: string, reader: BodyReader): FrontendMessage {
  switch (letter) {
    case "Q":
      return { type: "query", text: reader.cstring() };
    case "P":
      return {
        type: "parse",
        statement: reader.cstring(),
        query: reader.cstring(),
        parameterTypes: reader.list(reader.count(), () => reader.uint32()),
      };
    case "B":
      return {
        type: "bind",
        portal: reader.cstring(),
        statement: reader.cstring(),
        parameterFormats: reader.list(reader.count(), () => reader.int16()),
        values: reader.list(reader.count(), () => reader.value()),
        resultFormats: reader.list(reader.count(), () => reader.int16()),
      };
    case "D":
    case "C":
      return { type: letter === "D" ? "describe" : "close", target: target(reader.uint8()), name: reader.cstring() };
    case "E":
      return { type: "execute", portal: reader.cstring(), maxRows: reader.int32() };
    case "S":
      return { type: "sync" };
    case "H":
      return { type: "flush" };
    case "p":
      return { type: "password", password: reader.cstring() };
    case "c":
      return { type: "copyDone" };
    case "f":
      return { type: "copyFail", message: reader.cstring() };
    case "X":
      return { type: "terminate" };
    default:
      throw new ProtocolError(`unknown message type ${JSON.stringify(letter)}`);
  }
}

function target(byte: number): "statement" | "portal" {
  if (byte === 0x53) return "statement";
  if (byte === 0x50) return "portal";
  throw new ProtocolError("describe or close of neither a statement nor a portal");
}
