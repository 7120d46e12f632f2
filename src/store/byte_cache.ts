/** Buffers by name, up to a number of bytes; what was used longest ago goes first. Buffers must not be changed. */
export class ByteCache {
  readonly #limit: number;
  /** Least recently used first. */
  readonly #buffers = new Map<string, Buffer>();
  #bytes = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get(name: string): Buffer | undefined {
    const buffer = this.#buffers.get(name);
    if (buffer) {
      this.#buffers.delete(name);
      this.#buffers.set(name, buffer);
    }
    return buffer;
  }

  set(name: string, buffer: Buffer): void {
    if (buffer.length > this.#limit || this.#buffers.has(name)) return;
    this.#buffers.set(name, buffer);
    this.#bytes += buffer.length;
    for (const [oldest, { length }] of this.#buffers) {
      if (this.#bytes <= this.#limit) break;
      this.#buffers.delete(oldest);
      this.#bytes -= length;
    }
  }
}
