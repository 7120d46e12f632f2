/** Messages inside COPY; they look the same in both directions. */

/** The five bytes before a CopyData payload of `length` bytes, for writers that do not want to copy the payload. */
export function encodeCopyDataHeader(length: number): Buffer {
  const header = Buffer.allocUnsafe(5);
  header[0] = 0x64;
  header.writeInt32BE(length + 4, 1);
  return header;
}

/** A whole CopyData message; the payload is copied. */
export function encodeCopyData(payload: Uint8Array): Buffer {
  const message = Buffer.allocUnsafe(5 + payload.length);
  message[0] = 0x64;
  message.writeInt32BE(payload.length + 4, 1);
  message.set(payload, 5);
  return message;
}

export function encodeCopyDone(): Buffer {
  return Buffer.from([0x63, 0, 0, 0, 4]);
}
