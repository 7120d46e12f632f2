import { invalidMessage } from "./invalid_message.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Reads the fields of one message in order. Missing bytes are an error that names the field. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #littleEndian: boolean;
  #at = 0;

  constructor(bytes: Uint8Array, littleEndian = false) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#littleEndian = littleEndian;
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  u8(field: string): number {
    return this.#view.getUint8(this.#take(1, field));
  }

  u16(field: string): number {
    return this.#view.getUint16(this.#take(2, field), this.#littleEndian);
  }

  u32(field: string): number {
    return this.#view.getUint32(this.#take(4, field), this.#littleEndian);
  }

  u64(field: string): bigint {
    return this.#view.getBigUint64(this.#take(8, field), this.#littleEndian);
  }

  i64(field: string): bigint {
    return this.#view.getBigInt64(this.#take(8, field), this.#littleEndian);
  }

  /** A view of the next bytes, not a copy. */
  bytes(length: number, field: string): Uint8Array {
    const at = this.#take(length, field);
    return this.#bytes.subarray(at, at + length);
  }

  cstr(field: string): string {
    const end = this.#bytes.indexOf(0, this.#at);
    if (end < 0) throw invalidMessage(`${field} has no terminating zero byte`);
    const text = this.#bytes.subarray(this.#at, end);
    this.#at = end + 1;
    try {
      return utf8.decode(text);
    } catch {
      throw invalidMessage(`${field} is not UTF-8`);
    }
  }

  /** A count of entries of at least `size` bytes each; refused before anything is allocated for it. */
  count(size: number, field: string): number {
    const count = this.u32(field);
    if (count * size > this.remaining)
      throw invalidMessage(`${field} announces ${count} entries, but only ${this.remaining} bytes follow`);
    return count;
  }

  /** Throws when bytes are left: Neon's Postgres refuses surplus bytes too (contract: storage-protocols.md 5.4). */
  end(): void {
    if (this.remaining > 0) throw invalidMessage(`${this.remaining} surplus bytes at the end`);
  }

  #take(length: number, field: string): number {
    const at = this.#at;
    if (this.remaining < length)
      throw invalidMessage(`${field} needs ${length} bytes, but only ${this.remaining} are left`);
    this.#at = at + length;
    return at;
  }
}
