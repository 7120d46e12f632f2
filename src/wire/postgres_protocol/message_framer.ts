import { ProtocolError } from "./protocol_error.ts";

export interface FramerOptions {
  /** False while start-up packets (no tag byte) are awaited. */
  readonly tagged: boolean;
  /** Greatest body of a message with this tag (0 for start-up packets). Throws a {@link ProtocolError} beyond it. */
  readonly maxBody: (tag: number) => number;
  /** Bodies with this tag are handed on in pieces, as they arrive. */
  readonly streamedTag?: number | undefined;
}

/** Cuts a byte stream into protocol messages. Bodies are views on the pushed chunks; only what straddles chunks is copied. */
export class MessageFramer {
  tagged: boolean;
  readonly #maxBody: (tag: number) => number;
  readonly #streamedTag: number | undefined;
  #held: Buffer[] = [];
  #heldBytes = 0;
  /** Bytes that must be there before there is anything to do. */
  #needed: number;
  #streamLeft = 0;

  constructor(options: FramerOptions) {
    this.tagged = options.tagged;
    this.#maxBody = options.maxBody;
    this.#streamedTag = options.streamedTag;
    this.#needed = options.tagged ? 5 : 4;
  }

  /** True when no part of a message is held: the stream may end here. */
  get atBoundary(): boolean {
    return this.#heldBytes === 0 && this.#streamLeft === 0;
  }

  push(chunk: Buffer, message: (tag: number, body: Buffer) => void): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#streamLeft > 0) {
        const end = Math.min(chunk.length, at + this.#streamLeft);
        this.#streamLeft -= end - at;
        message(this.#streamedTag ?? 0, chunk.subarray(at, end));
        at = end;
        continue;
      }
      const missing = this.#needed - this.#heldBytes;
      if (chunk.length - at < missing) {
        this.#held.push(chunk.subarray(at));
        this.#heldBytes += chunk.length - at;
        return;
      }
      let part = chunk;
      let start = at;
      if (this.#heldBytes > 0) {
        this.#held.push(chunk.subarray(at, at + missing));
        part = Buffer.concat(this.#held, this.#needed);
        start = 0;
        this.#held = [];
        this.#heldBytes = 0;
      }
      at += missing;
      at = this.#take(part, start, chunk, at, message);
    }
  }

  /** `part` holds `#needed` bytes from `start`; the rest of `chunk` begins at `at`. Returns where it begins afterwards. */
  #take(part: Buffer, start: number, chunk: Buffer, at: number, message: (tag: number, body: Buffer) => void): number {
    const header = this.tagged ? 5 : 4;
    const tag = this.tagged ? (part[start] ?? 0) : 0;
    const body = part.readInt32BE(start + header - 4) - 4;
    if (this.#needed === header) {
      if (body < 0) throw new ProtocolError(`message with the invalid length ${body + 4}`);
      const limit = this.#maxBody(tag);
      if (body > limit) throw new ProtocolError(`message of ${body} bytes, at most ${limit} are accepted`);
      if (tag === this.#streamedTag && this.tagged) {
        this.#streamLeft = body;
        return at;
      }
      if (body > 0) {
        this.#needed = header + body;
        if (part === chunk && chunk.length - at >= body) {
          at += body;
        } else {
          // A straddling message: go on as if its header had been held from the beginning.
          this.#held.push(part.subarray(start, start + header));
          this.#heldBytes = header;
          return at;
        }
      }
    }
    message(tag, part.subarray(start + header, start + header + body));
    // The callback may have switched from start-up packets to tagged messages.
    this.#needed = this.tagged ? 5 : 4;
    return at;
  }
}
