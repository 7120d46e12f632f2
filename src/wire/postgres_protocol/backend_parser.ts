import type { AuthenticationMessage, BackendMessage, TransactionStatus } from "./backend_message.ts";
import { BodyReader } from "./body_reader.ts";
import { readErrorFields } from "./error_fields.ts";
import { MessageFramer } from "./message_framer.ts";
import { ProtocolError } from "./protocol_error.ts";

const COPY_DATA = 0x64;

export interface BackendParserOptions {
  /** Greatest body of one message; 64 MiB unless told (a base backup may send a whole WAL segment in one). */
  readonly maxMessageBytes?: number;
  /**
   * Hands CopyData on in pieces as they arrive instead of gathering whole messages: for streams whose message
   * boundaries mean nothing, such as base backups. An empty CopyData then gives no message.
   */
  readonly streamCopyData?: boolean;
}

/** Reads what a server sends. Throws {@link ProtocolError}; an error is final. */
export class BackendMessageParser {
  readonly #framer: MessageFramer;

  constructor(options: BackendParserOptions = {}) {
    const streamed = options.streamCopyData ?? false;
    const limit = options.maxMessageBytes ?? 64 * 1024 * 1024;
    this.#framer = new MessageFramer({
      tagged: true,
      maxBody: (tag) => (streamed && tag === COPY_DATA ? 0x7fff_ffff : limit),
      streamedTag: streamed ? COPY_DATA : undefined,
    });
  }

  /** True when no part of a message is held: the connection may end here without loss. */
  get atBoundary(): boolean {
    return this.#framer.atBoundary;
  }

  push(chunk: Buffer): BackendMessage[] {
    const messages: BackendMessage[] = [];
    this.#framer.push(chunk, (tag, body) => {
      messages.push(tag === COPY_DATA ? { type: "copyData", data: body } : parseMessage(tag, body));
    });
    return messages;
  }
}

function parseMessage(tag: number, body: Buffer): BackendMessage {
  const letter = String.fromCharCode(tag);
  const reader = new BodyReader(body, `message ${JSON.stringify(letter)}`);
  const message = parseFields(letter, reader);
  reader.end();
  return message;
}

function parseFields(letter: string, reader: BodyReader): BackendMessage {
  switch (letter) {
    case "R":
      return authentication(reader);
    case "S":
      return { type: "parameterStatus", name: reader.cstring(), value: reader.cstring() };
    case "K":
      return { type: "backendKeyData", processId: reader.int32(), secretKey: reader.bytes(reader.left) };
    case "v":
      return {
        type: "negotiateProtocolVersion",
        minorVersion: reader.int32(),
        unknownOptions: reader.list(reader.int32(), () => reader.cstring()),
      };
    case "Z":
      return { type: "readyForQuery", status: transactionStatus(reader.uint8()) };
    case "T":
      return {
        type: "rowDescription",
        columns: reader.list(reader.count(), () => ({
          name: reader.cstring(),
          tableOid: reader.uint32(),
          attribute: reader.int16(),
          typeOid: reader.uint32(),
          typeSize: reader.int16(),
          typeModifier: reader.int32(),
          format: reader.int16(),
        })),
      };
    case "D":
      return { type: "dataRow", values: reader.list(reader.count(), () => reader.value()) };
    case "C":
      return { type: "commandComplete", tag: reader.cstring() };
    case "G":
      return { type: "copyInResponse", ...copyFormats(reader) };
    case "H":
      return { type: "copyOutResponse", ...copyFormats(reader) };
    case "W":
      return { type: "copyBothResponse", ...copyFormats(reader) };
    case "c":
      return { type: "copyDone" };
    case "E":
      return { type: "errorResponse", fields: readErrorFields(reader) };
    case "N":
      return { type: "noticeResponse", fields: readErrorFields(reader) };
    case "t":
      return { type: "parameterDescription", typeOids: reader.list(reader.count(), () => reader.uint32()) };
    case "A":
      return {
        type: "notificationResponse",
        processId: reader.int32(),
        channel: reader.cstring(),
        payload: reader.cstring(),
      };
    case "1":
      return { type: "parseComplete" };
    case "2":
      return { type: "bindComplete" };
    case "3":
      return { type: "closeComplete" };
    case "n":
      return { type: "noData" };
    case "s":
      return { type: "portalSuspended" };
    case "I":
      return { type: "emptyQueryResponse" };
    default:
      throw new ProtocolError(`unknown message type ${JSON.stringify(letter)}`);
  }
}

function authentication(reader: BodyReader): AuthenticationMessage {
  const method = reader.int32();
  switch (method) {
    case 0:
      return { type: "authenticationOk" };
    case 3:
      return { type: "authenticationCleartextPassword" };
    case 5:
      return { type: "authenticationMd5Password", salt: reader.bytes(4) };
    case 10: {
      const mechanisms: string[] = [];
      for (let name = reader.cstring(); name !== ""; name = reader.cstring()) mechanisms.push(name);
      return { type: "authenticationSasl", mechanisms };
    }
    case 11:
      return { type: "authenticationSaslContinue", data: reader.bytes(reader.left) };
    case 12:
      return { type: "authenticationSaslFinal", data: reader.bytes(reader.left) };
    default:
      reader.bytes(reader.left);
      return { type: "authenticationOther", method };
  }
}

function copyFormats(reader: BodyReader): { format: number; columnFormats: number[] } {
  return { format: reader.uint8(), columnFormats: reader.list(reader.count(), () => reader.int16()) };
}

function transactionStatus(byte: number): TransactionStatus {
  const letter = String.fromCharCode(byte);
  if (letter === "I" || letter === "T" || letter === "E") return letter;
  throw new ProtocolError(`unknown transaction status ${JSON.stringify(letter)}`);
}
