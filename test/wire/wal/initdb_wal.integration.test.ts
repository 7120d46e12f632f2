import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runProgram } from "../../../src/postgres/run_program.ts";
import { CONTROL_STATE_SHUT_DOWN, patchControlFile, readControlFile } from "../../../src/wire/control_file.ts";
import { crc32c } from "../../../src/wire/crc32c.ts";
import { formatLsn, parseLsn } from "../../../src/wire/lsn.ts";
import { WAL_PAGE_MAGIC } from "../../../src/wire/wal/page_header.ts";
import { commitTimestamp, readCheckpoint, type WalRecord } from "../../../src/wire/wal/record.ts";
import { segmentStart, WAL_SEGMENT_SIZE, walSegmentName } from "../../../src/wire/wal/segment.ts";
import { WalWalker } from "../../../src/wire/wal/walker.ts";
import { forEachMajor, installation, installations, templateCluster } from "../../support/postgres.ts";

async function firstSegment(pgdata: string): Promise<Buffer> {
  return await readFile(join(pgdata, "pg_wal", walSegmentName(1n)));
}

forEachMajor("pg_control and WAL of initdb agree", async (server) => {
  const pgdata = await templateCluster(server);
  const bytes = await readFile(join(pgdata, "global", "pg_control"));
  const control = readControlFile(bytes);
  expect(control).toMatchObject({
    state: CONTROL_STATE_SHUT_DOWN,
    timeline: 1,
    pageSize: 8192,
    walPageSize: 8192,
    walSegmentSize: WAL_SEGMENT_SIZE,
    checksumVersion: 0,
    minRecoveryPoint: 0n,
    backupStartPoint: 0n,
    backupEndRequired: false,
  });
  const walker = new WalWalker(segmentStart(1n), {
    magic: WAL_PAGE_MAGIC[server.major],
    systemIdentifier: control.systemIdentifier,
    keepBody: ({ rmgr, length }) => rmgr <= 1 && length < 10_000,
  });
  let last: WalRecord | undefined;
  const commits: bigint[] = [];
  walker.push(await firstSegment(pgdata), (record) => {
    last = record;
    commits.push(...[commitTimestamp(record)].filter((time) => time !== undefined));
  });
  expect(walker.lastRecordStart).toBe(control.checkpoint);
  expect(walker.failure).toEqual({ at: walker.end, reason: "no record" });
  expect(last && readCheckpoint(last)).toEqual({ redo: control.redo, shutdown: true });
  // Each commit of initdb was made today.
  expect(commits.length).toBeGreaterThan(10);
  for (const micros of commits)
    expect(Math.abs(Date.now() - (Date.UTC(2000, 0) + Number(micros / 1000n)))).toBeLessThan(86_400_000);
});

forEachMajor("pg_control: patched fields, right checksum, damage is seen", async (server) => {
  const bytes = await readFile(join(await templateCluster(server), "global", "pg_control"));
  const patched = patchControlFile(bytes, { systemIdentifier: 42n, state: 6 });
  expect(readControlFile(patched)).toEqual({ ...readControlFile(bytes), systemIdentifier: 42n, state: 6 });
  const crcAt = server.major >= 18 ? 292 : 288;
  expect(patched.readUInt32LE(crcAt)).toBe(crc32c(patched.subarray(0, crcAt)));
  expect(patched.subarray(crcAt + 4).equals(bytes.subarray(crcAt + 4))).toBe(true);
  expect(patchControlFile(bytes, {}).equals(bytes)).toBe(true);
  for (let at = 0; at < crcAt + 4; at++) {
    const damaged = Buffer.from(bytes);
    damaged[at] = (damaged[at] ?? 0) ^ 0x10;
    expect(() => readControlFile(damaged)).toThrow(expect.objectContaining({ code: "invalid_control_file" }));
  }
  expect(() => readControlFile(bytes.subarray(0, 8191))).toThrow("8191 bytes instead of 8192");
});

const WALDUMP = "/usr/lib/postgresql/15/bin/pg_waldump";
const debian = installations().find(({ postgres }) => postgres.startsWith("/usr/lib/postgresql/15/"));

test.skipIf(debian === undefined)("record for record what pg_waldump 15 says", async () => {
  const pgdata = await templateCluster(installation(15));
  const result = await runProgram(WALDUMP, [join(pgdata, "pg_wal", walSegmentName(1n))], { env: process.env });
  const lines = result.stdout.split("\n").filter((line) => line.startsWith("rmgr:"));
  const walker = new WalWalker(segmentStart(1n));
  const ours: string[] = [];
  walker.push(await firstSegment(pgdata), ({ start, previous, length, xid }) =>
    ours.push(`${length} ${xid} ${formatLsn(start)} ${formatLsn(previous)}`),
  );
  const theirs = lines.map((line) => {
    const match = /len \(rec\/tot\):\s*\d+\/\s*(\d+), tx:\s*(\d+), lsn: (\S+), prev (\S+),/.exec(line);
    return `${match?.[1]} ${match?.[2]} ${formatLsn(parseLsn(match?.[3] ?? ""))} ${formatLsn(parseLsn(match?.[4] ?? ""))}`;
  });
  expect(ours.length).toBeGreaterThan(10_000);
  expect(ours).toEqual(theirs);
  expect(result.stderr).toContain(`error in WAL record at ${formatLsn(walker.lastRecordStart ?? 0n)}`);
});
