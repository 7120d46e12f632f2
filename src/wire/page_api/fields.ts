import { BinaryReader, type WireType } from "@bufbuild/protobuf/wire";

/**
 * Walks the fields of a protobuf message. `read` returns false for a field it does not know, which is then skipped.
 * Throws on malformed input.
 */
export function readFields(
  bytes: Uint8Array,
  read: (field: number, wireType: WireType, reader: BinaryReader) => boolean,
): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (!read(field, wireType, reader)) reader.skip(wireType, field);
  }
}

/** A 64-bit number as bigint, whatever the library made of it. */
export function bigintOf(value: bigint | string): bigint {
  return typeof value === "bigint" ? value : BigInt(value);
}
