import type { TransactionStatus } from "./backend_message.ts";
import { MessageWriter } from "./message_writer.ts";
import { typeSize } from "./type_oid.ts";

export function encodeAuthenticationOk(): Buffer {
  return new MessageWriter("R").int32(0).finish();
}

export function encodeAuthenticationCleartextPassword(): Buffer {
  return new MessageWriter("R").int32(3).finish();
}

export function encodeParameterStatus(name: string, value: string): Buffer {
  return new MessageWriter("S").cstring(name).cstring(value).finish();
}

export function encodeBackendKeyData(processId: number, secretKey: Uint8Array): Buffer {
  return new MessageWriter("K").int32(processId).bytes(secretKey).finish();
}

export function encodeReadyForQuery(status: TransactionStatus = "I"): Buffer {
  return new MessageWriter("Z").uint8(status.charCodeAt(0)).finish();
}

/** Columns of no table, in text format. */
export function encodeRowDescription(columns: readonly { readonly name: string; readonly typeOid: number }[]): Buffer {
  const message = new MessageWriter("T", 256).int16(columns.length);
  for (const { name, typeOid } of columns)
    message.cstring(name).uint32(0).int16(0).uint32(typeOid).int16(typeSize(typeOid)).int32(-1).int16(0);
  return message.finish();
}

/** Strings are sent as UTF-8 text, bytes as they are. */
export function encodeDataRow(values: readonly (string | Uint8Array | null)[]): Buffer {
  const message = new MessageWriter("D", 256).int16(values.length);
  for (const value of values) message.value(value);
  return message.finish();
}

/** `tag` such as `SELECT 1`. */
export function encodeCommandComplete(tag: string): Buffer {
  return new MessageWriter("C").cstring(tag).finish();
}

/** Text format, no columns: what storage answers before a base backup. */
export function encodeCopyOutResponse(): Buffer {
  return new MessageWriter("H").uint8(0).int16(0).finish();
}

export function encodeCopyInResponse(): Buffer {
  return new MessageWriter("G").uint8(0).int16(0).finish();
}

/** Text format, no columns: what opens a replication stream or a WAL push. */
export function encodeCopyBothResponse(): Buffer {
  return new MessageWriter("W").uint8(0).int16(0).finish();
}

export interface ErrorResponse {
  readonly severity: "ERROR" | "FATAL" | "PANIC";
  /** SQLSTATE. */
  readonly code: string;
  readonly message: string;
}

/** Severity, code and message only, as Neon's servers send them (contract: storage-protocols.md 1.4). */
export function encodeErrorResponse(error: ErrorResponse): Buffer {
  return (
    new MessageWriter("E", 256)
      .uint8(0x53)
      .cstring(error.severity)
      .uint8(0x43)
      .cstring(error.code)
      .uint8(0x4d)
      // Whatever stands in the message, it must reach the client.
      .cstring(error.message.replaceAll("\0", "\u{FFFD}"))
      .uint8(0)
      .finish()
  );
}

export function encodeParseComplete(): Buffer {
  return new MessageWriter("1").finish();
}

export function encodeBindComplete(): Buffer {
  return new MessageWriter("2").finish();
}

export function encodeCloseComplete(): Buffer {
  return new MessageWriter("3").finish();
}

export function encodeNoData(): Buffer {
  return new MessageWriter("n").finish();
}

export function encodeParameterDescription(typeOids: readonly number[] = []): Buffer {
  const message = new MessageWriter("t").int16(typeOids.length);
  for (const oid of typeOids) message.uint32(oid);
  return message.finish();
}

export function encodeEmptyQueryResponse(): Buffer {
  return new MessageWriter("I").finish();
}
