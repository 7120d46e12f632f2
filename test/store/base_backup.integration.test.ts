import { cp, open, rm, truncate } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseBackupLabel } from "../../src/wire/backup_label.ts";
import { readControlFile } from "../../src/wire/control_file.ts";
import { crc32c } from "../../src/wire/crc32c.ts";
import { formatLsn, parseLsn } from "../../src/wire/lsn.ts";
import { segmentOffset, WAL_SEGMENT_SIZE, walSegmentName } from "../../src/wire/wal/segment.ts";
import { forEachMajor, installation } from "../support/postgres.ts";
import { RunningStore, TENANT, TIMELINE } from "./running_store.ts";
import { type UnpackedBackup, unpack } from "./unpacked.ts";

let store: RunningStore;
beforeAll(async () => {
  store = await RunningStore.start();
});
afterAll(async () => {
  await store[Symbol.asyncDispose]();
});

/** One timeline a major, shared by the tests of this file. */
function timelineOf(major: number): string {
  return `${major}`.padStart(32, "0");
}

async function backup(major: number, gzip = false): Promise<{ tar: Buffer; lsn: bigint }> {
  const lsn = await store.createTimeline(major, timelineOf(major));
  const { copied, tag } = await store.query(`basebackup ${TENANT} ${timelineOf(major)}${gzip ? " --gzip" : ""}`);
  expect(tag).toBe("SELECT 1");
  return { tar: copied, lsn };
}

forEachMajor("storage-protocols.md case 22: a backup starts, keeps its rows and timeline 1", async (server) => {
  const { tar } = await backup(server.major);
  await using unpacked = await unpack(tar);
  const version = await unpacked.runSql<{ n: number }>(server, [
    "CREATE TABLE public.t AS SELECT g FROM generate_series(1, 1000) g",
    "CHECKPOINT",
    "SELECT count(*)::int AS n FROM pg_database",
  ]);
  expect(version).toEqual([{ n: 3 }]);
  const [row] = await unpacked.runSql<{ n: number; tli: number; wal: string }>(server, [
    "SELECT count(*)::int AS n, (SELECT timeline_id FROM pg_control_checkpoint()) AS tli, pg_walfile_name(pg_current_wal_lsn()) AS wal FROM public.t",
  ]);
  expect(row).toMatchObject({ n: 1000, tli: 1 });
  expect(row?.wal).toMatch(/^00000001/);
  expect(unpacked.log.join("\n")).not.toMatch(/FATAL|PANIC/);
});

forEachMajor("storage-protocols.md case 10: what a backup consists of", async (server) => {
  const { tar, lsn } = await backup(server.major, true);
  await using unpacked = await unpack(tar, true);
  const { members } = unpacked;
  const wal = `pg_wal/${walSegmentName(1n)}`;
  expect(members.slice(-3)).toEqual(["backup_label", "global/pg_control", wal]);
  const directories = ["global", "pg_wal/archive_status", "pg_commit_ts", "pg_dynshmem", "pg_notify", "pg_serial"];
  expect(members.filter((name) => name !== "pg_wal/summaries").slice(0, directories.length)).toEqual(directories);
  expect(members.includes("pg_wal/summaries")).toBe(server.major >= 17);
  for (const name of ["pg_hba.conf", "pg_ident.conf", "postgresql.auto.conf", "PG_VERSION", "base/1/PG_VERSION"])
    expect(members.filter((each) => each === name)).toHaveLength(1);
  for (const name of ["postgresql.conf", "postmaster.pid", "postmaster.opts", "global/pg_internal.init"])
    expect(members).not.toContain(name);
  expect((await unpacked.read("pg_hba.conf")).toString().match(/^(local|host) .* trust$/gm)).toHaveLength(6);
  expect(await unpacked.read("pg_ident.conf")).toHaveLength(0);

  const bytes = await unpacked.read("global/pg_control");
  const control = readControlFile(bytes);
  const crcAt = server.major >= 18 ? 292 : 288;
  expect(crc32c(bytes.subarray(0, crcAt))).toBe(bytes.readUInt32LE(crcAt));
  expect(control.state).toBe(1);
  const segment = await unpacked.read(wal);
  expect(segment).toHaveLength(WAL_SEGMENT_SIZE);
  expect(segment.subarray(segmentOffset(lsn)).every((byte) => byte === 0)).toBe(true);
  expect(segment.readBigUInt64LE(24)).toBe(control.systemIdentifier);
  expect(parseBackupLabel((await unpacked.read("backup_label")).toString())).toMatchObject({
    start: control.redo,
    checkpoint: control.checkpoint,
    method: "pg_rewind",
    from: "primary",
    timeline: 1,
  });
  // Relation by relation the same without compression.
  const { copied } = await store.query(`basebackup ${TENANT} ${timelineOf(server.major)} ${formatLsn(lsn)}`);
  const stable = (archive: Buffer): Buffer => withoutTimes(archive);
  expect(stable(copied).equals(stable(gunzipSync(tar)))).toBe(true);

  // A standby's: no label, and a control file of a server that was never stopped; else the same.
  const replica = `basebackup ${TENANT} ${timelineOf(server.major)} ${formatLsn(lsn)} --replica`;
  await using standby = await unpack((await store.query(replica)).copied, false);
  expect(standby.members).toEqual(members.filter((name) => name !== "backup_label"));
  const running = readControlFile(await standby.read("global/pg_control"));
  expect(running).toEqual({ ...control, state: 6 });
});

/** Headers carry the second in which they were made, and its checksum. */
function withoutTimes(tar: Buffer): Buffer {
  const copy = Buffer.from(tar);
  for (let at = 0; at < copy.length; ) {
    if (copy[at] === 0) break;
    const size = Number.parseInt(copy.toString("latin1", at + 124, at + 135), 8);
    copy.fill(0, at + 136, at + 156);
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return copy;
}

test("two timelines of one template are two systems", async () => {
  const first = await backup(17);
  const other = "17".padStart(32, "a");
  await store.createTimeline(17, other);
  const { copied } = await store.query(`basebackup ${TENANT} ${other}`);
  await using one = await unpack(first.tar);
  await using two = await unpack(copied);
  const [a, b] = await Promise.all([one, two].map((each) => each.read("global/pg_control")));
  const ids = [a, b].map((bytes) => readControlFile(bytes ?? Buffer.alloc(0)).systemIdentifier);
  expect(ids[0]).not.toBe(ids[1]);
  for (const [index, each] of [one, two].entries())
    expect((await each.read(`pg_wal/${walSegmentName(1n)}`)).readBigUInt64LE(24)).toBe(ids[index]);
  // PostgreSQL compares the two itself.
  const [row] = await two.runSql<{ id: string }>(installation(17), [
    "SELECT system_identifier::text AS id FROM pg_control_system()",
  ]);
  expect(row?.id).toBe(String(ids[1]));
});

/** Rows that a crash left only in WAL behind what the base backup holds. */
async function withNewerWal(fresh: UnpackedBackup): Promise<{ wal: string; rows: number }> {
  await fresh.runSql(
    installation(17),
    ["CREATE TABLE public.late (n int)", "INSERT INTO public.late SELECT generate_series(1, 200)"],
    "immediate",
  );
  return { wal: join(fresh.pgdata, "pg_wal", walSegmentName(1n)), rows: 200 };
}

async function countLate(backup: UnpackedBackup): Promise<number | string> {
  try {
    const [row] = await backup.runSql<{ n: number }>(installation(17), ["SELECT count(*)::int AS n FROM public.late"]);
    return row?.n ?? "no row";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

describe("silent losses that the backup guards against", () => {
  test("newer WAL is replayed because of the label; without it the same files lose it", async () => {
    const { tar } = await backup(17);
    await using source = await unpack(tar);
    const { wal, rows } = await withNewerWal(source);
    await using guarded = await unpack(tar);
    await cp(wal, join(guarded.pgdata, "pg_wal", walSegmentName(1n)));
    expect(await countLate(guarded)).toBe(rows);

    await using unguarded = await unpack(tar);
    await cp(wal, join(unguarded.pgdata, "pg_wal", walSegmentName(1n)));
    await rm(join(unguarded.pgdata, "backup_label"));
    expect(await countLate(unguarded)).toContain("does not exist");
  });

  test("the last segment has its full size; a short one loses its last page", async () => {
    const { tar } = await backup(17);
    await using source = await unpack(tar);
    const { wal, rows } = await withNewerWal(source);
    const end = await endOfContent(wal);
    for (const padded of [true, false]) {
      await using target = await unpack(tar);
      const copy = join(target.pgdata, "pg_wal", walSegmentName(1n));
      await cp(wal, copy);
      await truncate(copy, end);
      if (padded) await truncate(copy, WAL_SEGMENT_SIZE);
      const count = await countLate(target);
      if (padded) expect(count).toBe(rows);
      else expect(count).not.toBe(rows);
    }
  });
});

async function endOfContent(path: string): Promise<number> {
  const file = await open(path, "r");
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(WAL_SEGMENT_SIZE), 0, WAL_SEGMENT_SIZE, 0);
    let end = bytesRead;
    while (end > 0 && buffer[end - 1] === 0) end--;
    // A record whose data ends in zeros, and the end of its page must not be reached by chance.
    return Math.ceil(end / 8) * 8 + (Math.ceil(end / 8) % 1024 === 0 ? 8 : 0);
  } finally {
    await file.close();
  }
}

test("WAL that the store holds is replayed up to the LSN that was asked for, and no further", async () => {
  await using own = await RunningStore.start();
  const start = await own.createTimeline(17);
  await using fresh = await unpack((await own.query(`basebackup ${TENANT} ${TIMELINE}`)).copied);
  const { wal, rows } = await withNewerWal(fresh);
  await own.stop();
  await cp(wal, own.server.store.tenants.timeline(TENANT, TIMELINE).layout.segment(1n));

  await using again = await RunningStore.start({ dir: own.dir });
  const { body } = await again.http("GET", `/v1/tenant/${TENANT}/timeline/${TIMELINE}`);
  expect(parseLsn(String(body.last_record_lsn))).toBeGreaterThan(start);
  await using latest = await unpack((await again.query(`basebackup ${TENANT} ${TIMELINE} --gzip`)).copied, true);
  expect(await countLate(latest)).toBe(rows);
  await using early = await unpack((await again.query(`basebackup ${TENANT} ${TIMELINE} ${formatLsn(start)}`)).copied);
  expect(await countLate(early)).toContain("does not exist");
});

test("a backup of what was never replayed: what lies behind the cut on disk is not sent", async () => {
  const lsn = await store.createTimeline(17, TIMELINE);
  const timeline = store.server.store.tenants.timeline(TENANT, TIMELINE);
  const path = timeline.layout.segment(1n);
  const file = await open(path, "r+");
  await file.write(Buffer.alloc(100, 0xaa), 0, 100, segmentOffset(lsn));
  await file.close();
  const { copied } = await store.query(`basebackup ${TENANT} ${TIMELINE} ${formatLsn(lsn)}`);
  await using unpacked = await unpack(copied);
  const segment = await unpacked.read(`pg_wal/${walSegmentName(1n)}`);
  expect(segment.subarray(segmentOffset(lsn)).every((byte) => byte === 0)).toBe(true);
});
