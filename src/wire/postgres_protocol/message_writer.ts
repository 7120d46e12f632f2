/** Gathers the fields of one message. {@link MessageWriter.finish} sets its length. */
export class MessageWriter {
  #buffer: Buffer;
  #at: number;
  readonly #header: number;

  /** `tag` is one character, or empty for start-up packets. */
  constructor(tag: string, bodyGuess = 64) {
    this.#header = tag.length + 4;
    this.#buffer = Buffer.allocUnsafe(this.#header + bodyGuess);
    this.#buffer.write(tag, 0, "latin1");
    this.#at = this.#header;
  }

  uint8(value: number): this {
    this.#room(1);
    this.#at = this.#buffer.writeUInt8(value, this.#at);
    return this;
  }

  int16(value: number): this {
    this.#room(2);
    this.#at = this.#buffer.writeInt16BE(value, this.#at);
    return this;
  }

  int32(value: number): this {
    this.#room(4);
    this.#at = this.#buffer.writeInt32BE(value, this.#at);
    return this;
  }

  uint32(value: number): this {
    this.#room(4);
    this.#at = this.#buffer.writeUInt32BE(value, this.#at);
    return this;
  }

  bytes(value: Uint8Array): this {
    this.#room(value.length);
    this.#buffer.set(value, this.#at);
    this.#at += value.length;
    return this;
  }

  /** UTF-8 and a NUL. A NUL inside would start a field of the caller's choosing: it is an error. */
  cstring(text: string): this {
    if (text.includes("\0")) throw new RangeError("a protocol string cannot hold a NUL");
    const length = Buffer.byteLength(text);
    this.#room(length + 1);
    this.#at += this.#buffer.write(text, this.#at, "utf8");
    this.#buffer[this.#at++] = 0;
    return this;
  }

  /** Length and bytes, or -1 for NULL. */
  value(value: string | Uint8Array | null): this {
    if (value === null) return this.int32(-1);
    const bytes = typeof value === "string" ? Buffer.from(value) : value;
    return this.int32(bytes.length).bytes(bytes);
  }

  finish(): Buffer {
    this.#buffer.writeInt32BE(this.#at - this.#header + 4, this.#header - 4);
    return this.#buffer.subarray(0, this.#at);
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#at + bytes));
    this.#buffer.copy(larger, 0, 0, this.#at);
    this.#buffer = larger;
  }
}
