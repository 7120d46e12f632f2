import { crc32c } from "../../../src/wire/crc32c.ts";
import type { Lsn } from "../../../src/wire/lsn.ts";
import {
  encodePageHeader,
  FIRST_IS_CONTINUATION,
  FIRST_OVERWRITES_CONTINUATION,
  LONG_HEADER,
  pageHeaderSize,
} from "../../../src/wire/wal/page_header.ts";
import { WAL_PAGE_SIZE, WAL_SEGMENT_SIZE } from "../../../src/wire/wal/segment.ts";

export const MAGIC = 0xd116;
export const SYSTEM = 7_431_000_000_000_000_001n;

export interface BuiltRecord {
  readonly start: Lsn;
  readonly end: Lsn;
}

/** Writes WAL by the rules of PostgreSQL, independently of the reader under test. */
export class WalBuilder {
  readonly first: Lsn;
  readonly records: BuiltRecord[] = [];
  #bytes: Buffer[] = [];
  #position: Lsn;
  #previous: Lsn;
  readonly #cluster: { readonly magic: number; readonly systemIdentifier: bigint };

  constructor(first: Lsn, previous: Lsn = 0n, cluster = { magic: MAGIC, systemIdentifier: SYSTEM }) {
    this.#cluster = cluster;
    this.first = first;
    this.#position = first;
    this.#previous = previous;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#bytes);
  }

  /** The bytes since the last call. */
  take(): Buffer {
    const bytes = this.bytes;
    this.#bytes = [];
    return bytes;
  }

  get position(): Lsn {
    return this.#position;
  }

  /** A record with this body; `cutAt` leaves out all but its first bytes, as a crash does. */
  record(body: Buffer, kind: { rmgr?: number; info?: number; xid?: number; cutAt?: number } = {}): this {
    const header = Buffer.alloc(24);
    header.writeUInt32LE(24 + body.length, 0);
    header.writeUInt32LE(kind.xid ?? 0, 4);
    header.writeBigUInt64LE(this.#previous, 8);
    header.writeUInt8(kind.info ?? 0, 16);
    header.writeUInt8(kind.rmgr ?? 10, 17);
    header.writeUInt32LE(crc32c(header.subarray(0, 20), crc32c(body)), 20);
    const whole = Buffer.concat([header, body]);
    this.#pageHeader(0, 0);
    const start = this.#position;
    for (let at = 0; at < whole.length; ) {
      if (this.#atPage()) this.#pageHeader(FIRST_IS_CONTINUATION, whole.length - at);
      const room = WAL_PAGE_SIZE - Number(this.#position % BigInt(WAL_PAGE_SIZE));
      const piece = whole.subarray(at, Math.min(at + room, kind.cutAt ?? whole.length));
      this.#write(piece);
      at += piece.length;
      if (at === kind.cutAt) return this;
    }
    this.#previous = start;
    if (kind.rmgr === 0 && kind.info === 0x40) this.#zeros(BigInt(WAL_SEGMENT_SIZE));
    else this.#zeros(8n);
    this.records.push({ start, end: this.#position });
    return this;
  }

  /** After a record that was cut: zeros up to the next page, which says that what follows replaces it. */
  overwrite(): this {
    this.#zeros(BigInt(WAL_PAGE_SIZE));
    this.#pageHeader(FIRST_OVERWRITES_CONTINUATION, 0);
    return this;
  }

  #zeros(unit: bigint): void {
    this.#write(Buffer.alloc(Number((unit - (this.#position % unit)) % unit)));
  }

  #atPage(): boolean {
    return this.#position % BigInt(WAL_PAGE_SIZE) === 0n;
  }

  #pageHeader(info: number, remaining: number): void {
    if (!this.#atPage()) return;
    const long = pageHeaderSize(this.#position) === 40;
    const header = { info: info | (long ? LONG_HEADER : 0), timeline: 1, address: this.#position };
    this.#write(encodePageHeader({ ...header, ...this.#cluster, remaining }));
  }

  #write(bytes: Buffer): void {
    this.#bytes.push(bytes);
    this.#position += BigInt(bytes.length);
  }
}
