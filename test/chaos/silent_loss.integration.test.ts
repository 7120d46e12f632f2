import { describe, expect, test } from "vitest";
import { patchControlFile, readControlFile } from "../../src/wire/control_file.ts";
import { parseLsn } from "../../src/wire/lsn.ts";
import { segmentOffset } from "../../src/wire/wal/segment.ts";
import { runOn, startOn } from "../support/compute_on.ts";
import { installation } from "../support/postgres.ts";
import { TestStore } from "../support/store.ts";
import { doctoredPageserver, lastSegment, type Member } from "./doctored_pageserver.ts";

function memberOf(members: readonly Member[], path: string): Member {
  const found = members.find((member) => member.path === path);
  if (found === undefined) throw new Error(`the base backup has no ${path}`);
  return found;
}

/** What can go wrong with a base backup without a word from Postgres, and how our start says it. */
const TRAPS: [string, RegExp, (members: Member[], lsn: string) => Member[]][] = [
  [
    "the last segment is short: recovery drops its last page",
    /base backup's WAL ends at|recovery lost WAL|does not go on at/,
    (members, lsn) => {
      const last = lastSegment(members);
      last.content = last.content.subarray(0, segmentOffset(parseLsn(lsn)));
      return members;
    },
  ],
  [
    "the backup_label is gone: recovery trusts pg_control and ignores the WAL",
    /no backup_label/,
    (members) => members.filter(({ path }) => path !== "backup_label"),
  ],
  [
    "the backup_label is gone and one of another place lies there",
    /recovery lost WAL|does not go on at|base backup's WAL ends at|could not locate|Postgres exited/,
    (members) => {
      const label = memberOf(members, "backup_label");
      label.content = Buffer.from(
        label.content.toString().replace(/^(START WAL|CHECKPOINT) LOCATION: 0\/1/gm, "$1 LOCATION: 0/7"),
      );
      return members;
    },
  ],
  [
    "a record near the end is damaged: recovery ends before it",
    /base backup's WAL ends at|recovery lost WAL|does not go on at/,
    (members, lsn) => {
      const last = lastSegment(members);
      const at = segmentOffset(parseLsn(lsn)) - 20;
      last.content = Buffer.from(last.content);
      last.content.writeUInt8(last.content.readUInt8(at) ^ 0xff, at);
      return members;
    },
  ],
  [
    "storage-protocols.md case 49: pg_control of another system",
    /Postgres exited|belongs to the system|recovery lost WAL/,
    (members) => {
      const control = memberOf(members, "global/pg_control");
      const { systemIdentifier } = readControlFile(control.content);
      control.content = patchControlFile(control.content, { systemIdentifier: systemIdentifier + 1n });
      return members;
    },
  ],
];

describe.each([14, 18])("a base backup that would lose commits in silence on PostgreSQL %i", (major) => {
  test.each(TRAPS)("%s: the start fails, and storage is as it was", async (_name, error, doctor) => {
    await using store = await TestStore.start();
    const storage = await store.timeline(major);
    const pgbin = installation(major).postgres;
    {
      await using first = await runOn(storage, { pgbin });
      await first.query("CREATE TABLE t (n int)");
      for (let n = 1; n <= 50; n++) await first.query(`INSERT INTO t VALUES (${n})`);
      first.child.kill("SIGKILL");
      process.kill(await first.postmasterPid(), "SIGKILL");
      await first.exited;
    }
    {
      await using pageserver = await doctoredPageserver(store, doctor);
      const libpq_url = `postgresql://no_user@127.0.0.1:${pageserver.port}`;
      const env = { NEON_COMPUTE_TESTING_BASEBACKUP_RETRIES: "0", COMPUTE_CTL_READY_TIMEOUT: "20" };
      await using second = await startOn({ ...storage, pageserver: { libpq_url } }, { pgbin, env });
      expect(await second.failure()).toMatch(error);
    }
    await using third = await runOn(storage, { pgbin });
    expect(await third.query("SELECT count(*)::int FROM t")).toBe(50);
  });
});
