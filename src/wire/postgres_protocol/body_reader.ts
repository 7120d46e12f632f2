import { ProtocolError } from "./protocol_error.ts";

/** Reads the fields of one message body; every read checks that the bytes are there. */
export class BodyReader {
  readonly #body: Buffer;
  readonly #what: string;
  #at = 0;

  constructor(body: Buffer, what: string) {
    this.#body = body;
    this.#what = what;
  }

  get left(): number {
    return this.#body.length - this.#at;
  }

  uint8(): number {
    return this.bytes(1).readUInt8();
  }

  int16(): number {
    return this.bytes(2).readInt16BE();
  }

  /** A number of things that follow: an int16 that is not negative. */
  count(): number {
    const count = this.int16();
    if (count < 0) throw new ProtocolError(`${this.#what}: negative count`);
    return count;
  }

  int32(): number {
    return this.bytes(4).readInt32BE();
  }

  uint32(): number {
    return this.bytes(4).readUInt32BE();
  }

  /** `length` bytes as a view. */
  bytes(length: number): Buffer {
    if (length < 0 || this.left < length) throw new ProtocolError(`${this.#what}: message is too short`);
    this.#at += length;
    return this.#body.subarray(this.#at - length, this.#at);
  }

  /** An int32 length and that many bytes; -1 is NULL. */
  value(): Buffer | null {
    const length = this.int32();
    return length === -1 ? null : this.bytes(length);
  }

  /** UTF-8 up to a NUL. */
  cstring(): string {
    const end = this.#body.indexOf(0, this.#at);
    if (end < 0) throw new ProtocolError(`${this.#what}: string without end`);
    const text = this.#body.toString("utf8", this.#at, end);
    this.#at = end + 1;
    return text;
  }

  list<T>(count: number, read: () => T): T[] {
    const items: T[] = [];
    for (let i = 0; i < count; i++) items.push(read());
    return items;
  }

  /** Throws when bytes are left over. */
  end(): void {
    if (this.left > 0) throw new ProtocolError(`${this.#what}: ${this.left} bytes too many`);
  }
}
