import { MessageWriter } from "./message_writer.ts";

export function encodeSslRequest(): Buffer {
  return new MessageWriter("").int32(80877103).finish();
}

export function encodeGssEncRequest(): Buffer {
  return new MessageWriter("").int32(80877104).finish();
}

export function encodeCancelRequest(processId: number, secretKey: Uint8Array): Buffer {
  return new MessageWriter("").int32(80877102).int32(processId).bytes(secretKey).finish();
}

/** Start-up packet of protocol 3.0. `user` is required by the protocol; undefined values are left out. */
export function encodeStartupMessage(
  parameters: { readonly user: string } & Readonly<Record<string, string | undefined>>,
): Buffer {
  const message = new MessageWriter("", 256).int32(3 << 16);
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) message.cstring(name).cstring(value);
  return message.uint8(0).finish();
}

export function encodePasswordMessage(password: string): Buffer {
  return new MessageWriter("p").cstring(password).finish();
}

export function encodeQuery(text: string): Buffer {
  return new MessageWriter("Q").cstring(text).finish();
}

export function encodeParse(statement: string, query: string, parameterTypes: readonly number[] = []): Buffer {
  const message = new MessageWriter("P").cstring(statement).cstring(query).int16(parameterTypes.length);
  for (const oid of parameterTypes) message.uint32(oid);
  return message.finish();
}

/** All parameters and results in text format. */
export function encodeBind(portal: string, statement: string, values: readonly (string | null)[] = []): Buffer {
  const message = new MessageWriter("B").cstring(portal).cstring(statement).int16(0).int16(values.length);
  for (const value of values) message.value(value);
  return message.int16(0).finish();
}

export function encodeDescribe(target: "statement" | "portal", name: string): Buffer {
  return new MessageWriter("D")
    .uint8(target === "statement" ? 0x53 : 0x50)
    .cstring(name)
    .finish();
}

export function encodeClose(target: "statement" | "portal", name: string): Buffer {
  return new MessageWriter("C")
    .uint8(target === "statement" ? 0x53 : 0x50)
    .cstring(name)
    .finish();
}

/** `maxRows` 0 means all. */
export function encodeExecute(portal: string, maxRows = 0): Buffer {
  return new MessageWriter("E").cstring(portal).int32(maxRows).finish();
}

export function encodeSync(): Buffer {
  return new MessageWriter("S").finish();
}

export function encodeFlush(): Buffer {
  return new MessageWriter("H").finish();
}

export function encodeCopyFail(reason: string): Buffer {
  return new MessageWriter("f").cstring(reason).finish();
}

export function encodeTerminate(): Buffer {
  return new MessageWriter("X").finish();
}
