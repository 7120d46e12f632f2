import { crc32c } from "../crc32c.ts";
import type { Lsn } from "../lsn.ts";
import {
  decodePageHeader,
  FIRST_IS_CONTINUATION,
  FIRST_OVERWRITES_CONTINUATION,
  LONG_PAGE_HEADER,
  pageHeaderSize,
} from "./page_header.ts";
import { isSwitchRecord, RECORD_HEADER, type WalRecord } from "./record.ts";
import { WAL_PAGE_SIZE, WAL_SEGMENT_SIZE, WAL_TIMELINE } from "./segment.ts";

export interface WalWalkerOptions {
  /** Start of the record before the first one, when it is known; then the first record must point at it. */
  readonly previous?: Lsn | undefined;
  /** Page magic that every page must have; any known one when left out. */
  readonly magic?: number | undefined;
  /** Identifier that every long page header must carry; not checked when left out. */
  readonly systemIdentifier?: bigint | undefined;
  /** True refuses a page that overwrites a record which was given up, as real safekeepers do. */
  readonly refuseOverwrite?: boolean | undefined;
  /** Which records keep their body; none when left out. */
  readonly keepBody?: (record: Pick<WalRecord, "rmgr" | "info" | "length">) => boolean;
}

/** Why and where the log stops being readable. In a zero-padded file this is how its end looks. */
export interface WalFailure {
  readonly at: Lsn;
  readonly reason: string;
}

/**
 * Follows WAL record by record, fed with consecutive bytes in pieces of any size. Checks page headers, the links to the
 * records before and every checksum; joins records that run over pages; follows switch records; and accepts a page that
 * overwrites a record which was given up (contract: storage-protocols.md 10.7).
 *
 * The first byte that is fed must be the one at `start`, which is where a record starts or a page begins.
 */
export class WalWalker {
  readonly #options: WalWalkerOptions;
  /** Positions are kept as plain numbers, relative to the start's segment: bigints would cost a third of the speed. */
  readonly #origin: Lsn;
  #position: number;
  #skipTo = 0;
  #end: number;
  #lastStart: Lsn | undefined;
  #failure: WalFailure | undefined;

  readonly #page = Buffer.alloc(LONG_PAGE_HEADER);
  #pageSize = 0;
  #pageFilled = 0;

  readonly #header = Buffer.alloc(RECORD_HEADER);
  #headerFilled = 0;
  #recordStart = 0;
  #length = 0;
  #bodyMissing = 0;
  #crc = 0;
  #body: Uint8Array[] | undefined;

  constructor(start: Lsn, options: WalWalkerOptions = {}) {
    this.#origin = start - (start % BigInt(WAL_SEGMENT_SIZE));
    this.#position = Number(start - this.#origin);
    this.#end = this.#position;
    this.#lastStart = options.previous;
    this.#options = options;
  }

  /** End of the last whole record; the start as long as there was none. */
  get end(): Lsn {
    return this.#lsn(this.#end);
  }

  /** Start of the last whole record; `previous` of the options as long as there was none. */
  get lastRecordStart(): Lsn | undefined {
    return this.#lastStart;
  }

  /** Position of the next byte to feed. */
  get position(): Lsn {
    return this.#lsn(this.#position);
  }

  /** Set once nothing more can be read; later bytes are ignored. */
  get failure(): WalFailure | undefined {
    return this.#failure;
  }

  /** Consumes bytes and reports each record that became whole. */
  push(bytes: Uint8Array, onRecord?: (record: WalRecord) => void): void {
    for (let at = 0; at < bytes.length && !this.#failure; ) {
      const left = bytes.length - at;
      let used: number;
      if (this.#position < this.#skipTo) used = Math.min(left, this.#skipTo - this.#position);
      else if (this.#pageSize > 0 || this.#position % WAL_PAGE_SIZE === 0) used = this.#takePageHeader(bytes, at);
      else used = this.#takeRecord(bytes, at, Math.min(left, WAL_PAGE_SIZE - (this.#position % WAL_PAGE_SIZE)));
      at += used;
      this.#position += used;
      if (!this.#failure && this.#headerFilled === RECORD_HEADER && this.#bodyMissing === 0) this.#finish(onRecord);
    }
  }

  #lsn(position: number): Lsn {
    return this.#origin + BigInt(position);
  }

  #fail(at: number, reason: string): void {
    this.#failure = { at: this.#lsn(at), reason };
  }

  #takePageHeader(bytes: Uint8Array, at: number): number {
    if (this.#pageSize === 0) this.#pageSize = pageHeaderSize(this.#lsn(this.#position));
    const used = Math.min(bytes.length - at, this.#pageSize - this.#pageFilled);
    this.#page.set(bytes.subarray(at, at + used), this.#pageFilled);
    this.#pageFilled += used;
    if (this.#pageFilled === this.#pageSize) {
      this.#checkPage(this.#position + used - this.#pageSize);
      this.#pageSize = 0;
      this.#pageFilled = 0;
    }
    return used;
  }

  #checkPage(start: number): void {
    const header = decodePageHeader(this.#page.subarray(0, this.#pageSize), this.#lsn(start));
    const { magic, systemIdentifier } = this.#options;
    if (typeof header === "string") this.#fail(start, header);
    else if (magic !== undefined && header.magic !== magic) this.#fail(start, "page of another PostgreSQL version");
    else if (header.timeline !== WAL_TIMELINE) this.#fail(start, `page of timeline ${header.timeline}`);
    else if (
      systemIdentifier !== undefined &&
      header.systemIdentifier !== undefined &&
      header.systemIdentifier !== systemIdentifier
    )
      this.#fail(start, `page of another system (identifier ${header.systemIdentifier})`);
    else if (this.#headerFilled === 0) {
      if (header.info & FIRST_IS_CONTINUATION) this.#fail(start, "page continues a record that is not there");
    } else if (header.info & FIRST_OVERWRITES_CONTINUATION) {
      if (this.#options.refuseOverwrite) this.#fail(start, "page overwrites a record that was given up");
      else this.#reset();
    } else if (!(header.info & FIRST_IS_CONTINUATION)) this.#fail(start, "page does not continue the record before it");
    else if (header.remaining !== this.#missing()) this.#fail(start, "page continues a record of another length");
  }

  #missing(): number {
    return this.#headerFilled === RECORD_HEADER ? this.#bodyMissing : this.#length - this.#headerFilled;
  }

  #takeRecord(bytes: Uint8Array, at: number, limit: number): number {
    if (this.#headerFilled === 0) this.#recordStart = this.#position;
    if (this.#headerFilled < RECORD_HEADER) {
      const used = Math.min(limit, RECORD_HEADER - this.#headerFilled);
      this.#header.set(bytes.subarray(at, at + used), this.#headerFilled);
      this.#headerFilled += used;
      // The length never runs over a page: records start at multiples of 8.
      if (this.#headerFilled >= 4) this.#length = this.#header.readUInt32LE(0);
      if (this.#headerFilled >= 4 && this.#length < RECORD_HEADER) this.#fail(this.#recordStart, "no record");
      else if (this.#headerFilled === RECORD_HEADER) this.#startBody();
      return used;
    }
    const used = Math.min(limit, this.#bodyMissing);
    const piece = bytes.subarray(at, at + used);
    this.#crc = crc32c(piece, this.#crc);
    this.#body?.push(Uint8Array.from(piece));
    this.#bodyMissing -= used;
    return used;
  }

  #startBody(): void {
    if (this.#lastStart !== undefined && this.#header.readBigUInt64LE(8) !== this.#lastStart) {
      this.#fail(this.#recordStart, "record does not point at the one before it");
      return;
    }
    this.#bodyMissing = this.#length - RECORD_HEADER;
    this.#crc = 0;
    const kind = { length: this.#length, info: this.#header.readUInt8(16), rmgr: this.#header.readUInt8(17) };
    this.#body = this.#options.keepBody?.(kind) ? [] : undefined;
  }

  #finish(onRecord: ((record: WalRecord) => void) | undefined): void {
    if (crc32c(this.#header.subarray(0, 20), this.#crc) !== this.#header.readUInt32LE(20)) {
      this.#fail(this.#recordStart, "record with a wrong checksum");
      return;
    }
    const kind = { info: this.#header.readUInt8(16), rmgr: this.#header.readUInt8(17) };
    const unit = isSwitchRecord(kind) ? WAL_SEGMENT_SIZE : 8;
    this.#skipTo = Math.ceil(this.#position / unit) * unit;
    this.#end = this.#skipTo;
    this.#lastStart = this.#lsn(this.#recordStart);
    onRecord?.({
      start: this.#lastStart,
      end: this.#lsn(this.#end),
      previous: this.#header.readBigUInt64LE(8),
      length: this.#length,
      xid: this.#header.readUInt32LE(4),
      ...kind,
      ...(this.#body && { body: Buffer.concat(this.#body) }),
    });
    this.#reset();
  }

  #reset(): void {
    this.#headerFilled = 0;
    this.#length = 0;
    this.#bodyMissing = 0;
    this.#body = undefined;
  }
}
