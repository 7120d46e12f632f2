import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { WalRecord } from "../../../src/wire/wal/record.ts";
import { WAL_PAGE_SIZE, WAL_SEGMENT_SIZE } from "../../../src/wire/wal/segment.ts";
import { WalWalker, type WalWalkerOptions } from "../../../src/wire/wal/walker.ts";
import { MAGIC, SYSTEM, WalBuilder } from "./wal_builder.ts";

const START = 0x1000000n;

function walk(wal: WalBuilder, pieces: readonly Buffer[], options: WalWalkerOptions = {}) {
  const walker = new WalWalker(wal.first, options);
  const records: WalRecord[] = [];
  for (const piece of pieces) walker.push(piece, (record) => records.push(record));
  return { walker, records, places: records.map(({ start, end }) => ({ start, end })) };
}

/** Small records, some over one and over two pages. */
function sample(): WalBuilder {
  const wal = new WalBuilder(START);
  for (const length of [0, 1, 90, 8000, 7, 30_000, 8, 0, 16_300, 3]) wal.record(Buffer.alloc(length, length));
  return wal;
}

describe("following records", () => {
  test("over pages, with their links", () => {
    const wal = sample();
    const { walker, records, places } = walk(wal, [wal.bytes], { keepBody: ({ length }) => length < 200 });
    expect(places).toEqual(wal.records);
    expect(walker.end).toBe(wal.position);
    expect(walker.position).toBe(wal.position);
    expect(walker.failure).toBeUndefined();
    expect(walker.lastRecordStart).toBe(wal.records.at(-1)?.start);
    expect(records.map(({ previous }) => previous)).toEqual([
      0n,
      ...wal.records.slice(0, -1).map(({ start }) => start),
    ]);
    expect(records[2]?.body).toEqual(Buffer.alloc(90, 90));
    expect(records[3]?.body).toBeUndefined();
  });

  test("split at every byte", () => {
    const wal = new WalBuilder(START + BigInt(WAL_PAGE_SIZE) - 64n);
    for (const length of [3, 40, 200, 0]) wal.record(Buffer.alloc(length, length));
    const { bytes } = wal;
    for (let cut = 0; cut <= bytes.length; cut++)
      expect(walk(wal, [bytes.subarray(0, cut), bytes.subarray(cut)]).places).toEqual(wal.records);
    expect(
      walk(
        wal,
        Array.from(bytes, (byte) => Buffer.of(byte)),
      ).places,
    ).toEqual(wal.records);
  });

  test("of any length, in pieces of any size", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(20_000), { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 1, max: 10_000 }),
        fc.nat(1020),
        (lengths, size, offset) => {
          const wal = new WalBuilder(START + 8192n + 24n + BigInt(offset * 8));
          for (const length of lengths) wal.record(Buffer.alloc(length, 7));
          const { bytes } = wal;
          const pieces = [];
          for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
          expect(walk(wal, pieces).places).toEqual(wal.records);
        },
      ),
      { numRuns: 50 },
    );
  });

  test("a switch record ends at the next segment", () => {
    const wal = new WalBuilder(START).record(Buffer.alloc(5)).record(Buffer.alloc(0), { rmgr: 0, info: 0x40 });
    expect(wal.position).toBe(START + BigInt(WAL_SEGMENT_SIZE));
    wal.record(Buffer.alloc(9));
    expect(walk(wal, [wal.bytes]).places).toEqual(wal.records);
  });

  test("a page that overwrites a torn record", () => {
    const wal = new WalBuilder(START).record(Buffer.alloc(5)).record(Buffer.alloc(20_000), { cutAt: 12_000 });
    const torn = wal.position;
    wal.overwrite().record(Buffer.alloc(77));
    const { walker, places } = walk(wal, [wal.bytes]);
    expect(places).toEqual(wal.records);
    expect(places).toHaveLength(2);
    expect(places[1]?.start).toBeGreaterThan(torn);
    expect(walker.failure).toBeUndefined();
  });
});

describe("the end of the log", () => {
  test("is the end of the last whole record, whatever byte it breaks off at", () => {
    const wal = sample();
    const { bytes } = wal;
    for (let cut = 0; cut <= bytes.length; cut += 97) {
      const zeroed = Buffer.concat([bytes.subarray(0, cut), Buffer.alloc(bytes.length + WAL_PAGE_SIZE - cut)]);
      const { walker, places } = walk(wal, [zeroed]);
      // Zeros may complete a record that ends in zeros, never one behind the cut.
      const whole = wal.records.filter(({ end }) => end <= START + BigInt(cut));
      expect(places.slice(0, whole.length)).toEqual(whole);
      expect(places.length).toBeLessThanOrEqual(whole.length + 1);
      expect(walker.failure).toBeDefined();
    }
  });

  test("stays the start where there is no record", () => {
    const walker = new WalWalker(START + 64n, { previous: START });
    walker.push(Buffer.alloc(100));
    expect(walker.end).toBe(START + 64n);
    expect(walker.lastRecordStart).toBe(START);
    expect(walker.failure).toEqual({ at: START + 64n, reason: "no record" });
  });

  test("a flipped bit in a record or header is never read over", () => {
    const wal = new WalBuilder(START)
      .record(Buffer.alloc(3000, 1))
      .record(Buffer.alloc(8000, 2))
      .record(Buffer.alloc(50, 3));
    const { bytes } = wal;
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(7), (at, bit) => {
        const damaged = Buffer.from(bytes);
        damaged[at] = (damaged[at] ?? 0) ^ (1 << bit);
        const { places, walker } = walk(wal, [damaged, Buffer.alloc(8192)], {
          previous: 0n,
          magic: MAGIC,
          systemIdentifier: SYSTEM,
        });
        const before = wal.records.filter(({ end }) => end <= START + BigInt(at));
        expect(places.slice(0, before.length)).toEqual(before);
        // Padding between records and the header's own padding are not checked by anyone.
        const record = wal.records.find(({ start, end }) => start <= START + BigInt(at) && START + BigInt(at) < end);
        if (record && places.length > before.length) expect(isPadding(wal, at) || isUnusedFlag(at, bit)).toBe(true);
        else expect(walker.failure).toBeDefined();
      }),
      { numRuns: 300 },
    );
  });
});

/** Bytes without meaning: behind a record up to the next multiple of 8, and four in each page header. */
/** `XLP_BKP_REMOVABLE` in the info of a page header: a note for archiving tools, which no reader looks at. */
function isUnusedFlag(at: number, bit: number): boolean {
  return (Number(START % 8192n) + at) % 8192 === 2 && bit === 2;
}

function isPadding(wal: WalBuilder, at: number): boolean {
  const inPage = (Number(wal.first) + at) % WAL_PAGE_SIZE;
  if (inPage >= 20 && inPage < 24) return true;
  return wal.records.some(({ end }) => START + BigInt(at) >= end - 8n && START + BigInt(at) < end);
}

describe("what does not fit", () => {
  const wal = sample();
  test.each<[string, WalWalkerOptions, string]>([
    ["another system", { systemIdentifier: 1n }, "page of another system"],
    ["another version", { magic: 0xd118 }, "another PostgreSQL version"],
    ["another predecessor", { previous: 99n }, "does not point at the one before it"],
  ])("%s", (_what, options, reason) => {
    const { walker, records } = walk(wal, [wal.bytes], options);
    expect(records).toEqual([]);
    expect(walker.failure?.reason).toContain(reason);
  });

  test("a page that continues nothing", () => {
    const torn = new WalBuilder(START).record(Buffer.alloc(10_000));
    const walker = new WalWalker(START + BigInt(WAL_PAGE_SIZE));
    walker.push(torn.bytes.subarray(WAL_PAGE_SIZE));
    expect(walker.failure?.reason).toContain("continues a record that is not there");
  });
});
