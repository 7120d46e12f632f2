import { mkdir, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { findLocalTail, readLocalTail } from "../../../src/walproposer/driver/local_tail.ts";
import { openBackupWal } from "../../../src/walproposer/driver/local_wal.ts";
import { renderBackupLabel } from "../../../src/wire/backup_label.ts";
import type { Lsn } from "../../../src/wire/lsn.ts";
import { segmentNumber, segmentOffset, WAL_SEGMENT_SIZE, walSegmentName } from "../../../src/wire/wal/segment.ts";
import { temporaryDirectory } from "../../support/temp_directory.ts";
import { SYSTEM, WalBuilder } from "../../wire/wal/wal_builder.ts";

const SEGMENT = BigInt(WAL_SEGMENT_SIZE);
/** A page's first byte in the first of the segments. */
const START = SEGMENT + 8192n;
const pathOf = (pgdata: string, lsn: Lsn): string => join(pgdata, "pg_wal", walSegmentName(segmentNumber(lsn)));

let pgdata: string;
beforeEach(async () => {
  const directory = await temporaryDirectory();
  onTestFinished(() => directory[Symbol.asyncDispose]());
  pgdata = directory.path;
  await mkdir(join(pgdata, "pg_wal"));
});

/** Writes WAL as whole segments, zeros before and behind it. */
async function writeWal(wal: WalBuilder): Promise<void> {
  const { first, bytes } = wal;
  const from = segmentOffset(first);
  const whole = Buffer.alloc(Math.ceil((from + bytes.length) / WAL_SEGMENT_SIZE) * WAL_SEGMENT_SIZE);
  bytes.copy(whole, from);
  for (let at = 0; at < whole.length; at += WAL_SEGMENT_SIZE)
    await writeFile(
      join(pgdata, "pg_wal", walSegmentName(segmentNumber(first) + BigInt(at / WAL_SEGMENT_SIZE))),
      whole.subarray(at, at + WAL_SEGMENT_SIZE),
    );
}

/** Ten records, the sixth over three segments. */
function someWal(): WalBuilder {
  const wal = new WalBuilder(START, 0n);
  for (let n = 0; n < 10; n++) wal.record(Buffer.alloc(n === 5 ? 20_000_000 : 100 + n, n));
  return wal;
}

describe("the WAL of a base backup", () => {
  async function label(start: Lsn): Promise<void> {
    const text = renderBackupLabel({ start, checkpoint: start, method: "pg_rewind", from: "primary" });
    await writeFile(join(pgdata, "backup_label"), text);
  }

  test("tells its last record and its system, also after the files are gone", async () => {
    const wal = someWal();
    await writeWal(wal);
    await label(START);
    const backup = openBackupWal(pgdata);
    await rm(join(pgdata, "pg_wal"), { recursive: true });
    const [, , third] = wal.records;
    expect(backup.lastRecordBefore(third?.end ?? 0n)).toBe(third?.start);
    expect(backup.lastRecordBefore(wal.position)).toBe(wal.records.at(-1)?.start);
    backup.close();
  });

  test("that begins in a segment whose header is there tells its system", async () => {
    const wal = new WalBuilder(SEGMENT * 2n, 0n).record(Buffer.alloc(10));
    await writeWal(wal);
    await label(SEGMENT * 2n);
    const backup = openBackupWal(pgdata);
    expect(backup.systemIdentifier).toBe(SYSTEM);
    backup.close();
  });

  test("that ends too early, or has no label, is refused", async () => {
    const wal = someWal();
    await writeWal(wal);
    expect(() => openBackupWal(pgdata)).toThrow(expect.objectContaining({ code: "backup_label_missing" }));
    await label(START);
    await truncate(pathOf(pgdata, wal.position), 100);
    const backup = openBackupWal(pgdata);
    expect(() => backup.lastRecordBefore(wal.position)).toThrow(
      expect.objectContaining({ code: "backup_wal_damaged" }),
    );
    backup.close();
  });
});

describe("the tail of a kept data directory", () => {
  test("ends behind the last whole record, from wherever storage ends", async () => {
    const wal = someWal();
    await writeWal(wal);
    for (const start of [START, ...wal.records.map(({ end }) => end)]) {
      const tail = findLocalTail(pgdata, start, START);
      expect(tail).toEqual({ start, end: wal.position });
      const read = Buffer.concat([...readLocalTail(pgdata, tail)]);
      expect(read.equals(wal.bytes.subarray(Number(start - START)))).toBe(true);
    }
  });

  test.each([10, 50, 8_192 * 3, 16_000_000])("a last record that is torn after %i bytes is left out", async (cutAt) => {
    const wal = someWal();
    const end = wal.position;
    await writeWal(wal.record(Buffer.alloc(17_000_000, 1), { cutAt }));
    const from = wal.records[3]?.end ?? 0n;
    expect(findLocalTail(pgdata, from, START)).toEqual({ start: from, end });
  });

  test("the first segment's start may be a base backup's zeros, and later ones may begin inside a record", async () => {
    const wal = someWal();
    await writeWal(wal);
    await rm(pathOf(pgdata, START));
    const from = wal.records[7]?.end ?? 0n;
    expect(findLocalTail(pgdata, from, START)).toEqual({ start: from, end: wal.position });
  });

  const DAMAGES: [string, (wal: WalBuilder) => Promise<void>][] = [
    ["a segment is missing", (wal) => rm(pathOf(pgdata, wal.records[1]?.end ?? 0n))],
    ["a segment is cut", (wal) => truncate(pathOf(pgdata, START), segmentOffset(wal.records[1]?.start ?? 0n))],
    [
      "a record in the middle is overwritten",
      async (wal) => {
        const [, , , record] = wal.records;
        const { bytes } = wal;
        bytes.fill(0xee, Number((record?.start ?? 0n) - START) + 30, Number((record?.start ?? 0n) - START) + 40);
        const again = Object.assign(new WalBuilder(START), {});
        Object.defineProperty(again, "bytes", { value: bytes });
        await writeWal(again);
      },
    ],
  ];

  test.each(DAMAGES)("%s: damage, not an end", async (_name, damage) => {
    const wal = someWal();
    await writeWal(wal);
    await damage(wal);
    const from = wal.records[2]?.end ?? 0n;
    expect(() => findLocalTail(pgdata, from, START)).toThrow(expect.objectContaining({ code: "local_wal_damaged" }));
  });
});
