import { invalidMessage } from "./invalid_message.ts";

/** Collects the fields of one message. Values that do not fit their field are an error, never cut off. */
export class ByteWriter {
  readonly #littleEndian: boolean;
  #bytes = Buffer.allocUnsafe(256);
  #length = 0;

  constructor(littleEndian = false) {
    this.#littleEndian = littleEndian;
  }

  u8(value: number): this {
    const at = this.#grow(1);
    this.#bytes.writeUInt8(value, at);
    return this;
  }

  u16(value: number): this {
    const at = this.#grow(2);
    if (this.#littleEndian) this.#bytes.writeUInt16LE(value, at);
    else this.#bytes.writeUInt16BE(value, at);
    return this;
  }

  u32(value: number): this {
    const at = this.#grow(4);
    if (this.#littleEndian) this.#bytes.writeUInt32LE(value, at);
    else this.#bytes.writeUInt32BE(value, at);
    return this;
  }

  u64(value: bigint): this {
    const at = this.#grow(8);
    if (this.#littleEndian) this.#bytes.writeBigUInt64LE(value, at);
    else this.#bytes.writeBigUInt64BE(value, at);
    return this;
  }

  i64(value: bigint): this {
    const at = this.#grow(8);
    if (this.#littleEndian) this.#bytes.writeBigInt64LE(value, at);
    else this.#bytes.writeBigInt64BE(value, at);
    return this;
  }

  cstr(text: string): this {
    if (text.includes("\0")) throw invalidMessage("a text must not contain a zero byte");
    return this.bytes(Buffer.from(text, "utf8")).u8(0);
  }

  bytes(bytes: Uint8Array): this {
    const at = this.#grow(bytes.length);
    this.#bytes.set(bytes, at);
    return this;
  }

  zeros(length: number): this {
    const at = this.#grow(length);
    this.#bytes.fill(0, at, at + length);
    return this;
  }

  finish(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  #grow(length: number): number {
    const at = this.#length;
    const needed = at + length;
    if (needed > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2));
      this.#bytes.copy(larger, 0, 0, at);
      this.#bytes = larger;
    }
    this.#length = needed;
    return at;
  }
}
