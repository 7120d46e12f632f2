import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { PostgresInstallation } from "../../src/postgres/installation.ts";
import { formatLsn, type Lsn, parseLsn } from "../../src/wire/lsn.ts";
import { installation, installations } from "../support/postgres.ts";
import { PushClient, targetOf } from "./push_client.ts";
import { type Answer, OTHER, RunningStore, TENANT, TIMELINE } from "./running_store.ts";
import { pushServerWal } from "./server_wal.ts";
import { type UnpackedBackup, unpack } from "./unpacked.ts";

let store: RunningStore;
beforeAll(async () => {
  store = await RunningStore.start({ waitLsnTimeoutMs: 300 });
});
afterAll(async () => {
  await store[Symbol.asyncDispose]();
});

const TIMELINES = `/v1/tenant/${TENANT}/timeline`;
const id = (text: string): string => text.padEnd(32, "0");

async function backupOf(timelineId: string, lsn?: Lsn): Promise<UnpackedBackup> {
  const { copied, error } = await store.query(
    `basebackup ${TENANT} ${timelineId}${lsn ? ` ${formatLsn(lsn)}` : ""} --gzip`,
  );
  expect(error).toBeUndefined();
  return await unpack(copied, true);
}

async function branch(timelineId: string, ancestorId: string, lsn?: Lsn): Promise<Answer> {
  const at = lsn === undefined ? {} : { ancestor_start_lsn: formatLsn(lsn) };
  return await store.http("POST", TIMELINES, { new_timeline_id: timelineId, ancestor_timeline_id: ancestorId, ...at });
}

/** Runs statements on a backup of a timeline's tip and brings the WAL back to the timeline; rows of every statement. */
async function writeTo(
  server: PostgresInstallation,
  timelineId: string,
  statements: readonly string[],
): Promise<Record<string, unknown>[][]> {
  await using compute = await backupOf(timelineId);
  const rows = await compute.runEach(server, statements, "immediate");
  const timeline = store.server.store.tenants.timeline(TENANT, timelineId);
  await pushServerWal(compute.pgdata, targetOf(timeline, store.server.addresses.safekeeper));
  return rows;
}

async function numbers(server: PostgresInstallation, timelineId: string, lsn?: Lsn): Promise<unknown> {
  await using compute = await backupOf(timelineId, lsn);
  const [rows = []] = await compute.runEach<{ n: number[] }>(server, [
    "SELECT array_agg(n ORDER BY n) AS n, pg_walfile_name(pg_current_wal_lsn()) AS wal FROM public.t",
  ]);
  expect(String(rows[0] && "wal" in rows[0] ? rows[0].wal : "")).toMatch(/^00000001/);
  expect(compute.log.join("\n")).not.toMatch(/FATAL|PANIC/);
  return rows[0]?.n;
}

const insertAndLook = (n: number): string[] => [
  `INSERT INTO public.t VALUES (${n})`,
  "SELECT pg_current_wal_insert_lsn()::text AS lsn",
];
const lsnsOf = (rows: Record<string, unknown>[][]): Lsn[] =>
  rows.flatMap(([row]) => (typeof row?.lsn === "string" ? [parseLsn(row.lsn)] : []));

// The oldest and the newest: what differs in between is not the store's business.
test.each(installations().filter(({ major }) => major === 14 || major === 18))(
  "storage-protocols.md case 22, storage-protocols.md case 23, storage-protocols.md case 26: kill, start from the store, branch (PostgreSQL $major)",
  async (server) => {
    const parent = id(`a${server.major}`);
    await store.createTimeline(server.major, parent);
    const rows = await writeTo(server, parent, [
      "CREATE TABLE public.t (n int)",
      ...[1, 2, 3, 4, 5].flatMap(insertAndLook),
    ]);
    const lsns = lsnsOf(rows);
    const third = lsns[2] ?? 0n;
    const child = id(`b${server.major}`);
    expect((await branch(child, parent, third)).body).toMatchObject({
      ancestor_timeline_id: parent,
      ancestor_lsn: formatLsn(third),
      last_record_lsn: formatLsn(third),
      flush_lsn: formatLsn(third),
      acceptor_state: { term: 0, epoch: 0, term_history: [{ term: 0, lsn: formatLsn(third) }] },
    });
    // The server was killed, and never told anybody that it ends: everything is there all the same.
    expect(await numbers(server, parent)).toEqual([1, 2, 3, 4, 5]);
    // The first new record is accepted at exactly the branch point, and points at the last one before it.
    await writeTo(server, child, ["INSERT INTO public.t VALUES (30)"]);
    expect(await numbers(server, child)).toEqual([1, 2, 3, 30]);
    expect(await numbers(server, parent)).toEqual([1, 2, 3, 4, 5]);
  },
);

describe("a history of branches", () => {
  const server = installation(17);
  const parent = id("c0");
  let lsns: Lsn[];
  let end: Lsn;

  beforeAll(async () => {
    await store.createTimeline(17, parent);
    const rows = await writeTo(server, parent, [
      "CREATE TABLE public.t (n int)",
      // Commits in more than one segment, and records that run over pages.
      "CREATE TABLE public.large AS SELECT g, repeat(md5(g::text), 30) FROM generate_series(1, 16000) g",
      ...[1, 2, 3].flatMap(insertAndLook),
      "SELECT pg_switch_wal()",
      ...[4, 5].flatMap(insertAndLook),
      "SELECT clock_timestamp()::text AS now",
    ]);
    lsns = lsnsOf(rows);
    end = (await store.server.store.tenants.timeline(TENANT, parent).walEnd()).end;
  });

  test("storage-protocols.md case 28: a branch at the tip, without an LSN; it goes on beside its parent", async () => {
    const child = id("c1");
    const { status, body } = await branch(child, parent);
    expect(status).toBe(201);
    expect(body).toMatchObject({ ancestor_lsn: formatLsn(end), prev_record_lsn: expect.not.stringMatching("^0/0$") });
    await writeTo(server, child, ["INSERT INTO public.t VALUES (100)"]);
    await writeTo(server, parent, ["INSERT INTO public.t VALUES (6)"]);
    expect(await numbers(server, child)).toEqual([1, 2, 3, 4, 5, 100]);
    expect(await numbers(server, parent)).toEqual([1, 2, 3, 4, 5, 6]);

    const grandchild = id("c2");
    expect((await branch(grandchild, child)).status).toBe(201);
    await writeTo(server, grandchild, ["INSERT INTO public.t VALUES (200)"]);
    expect(await numbers(server, grandchild)).toEqual([1, 2, 3, 4, 5, 100, 200]);
    // Below its branch point a branch is its ancestors' history.
    expect(await numbers(server, grandchild, lsns[1])).toEqual([1, 2]);
    // Everything is still so after a restart of the acceptors, which scan.
    const again = await RunningStore.start({ dir: store.dir }).catch((error: unknown) => error);
    expect(again).toMatchObject({ code: "directory_in_use" });
  });

  test("inside a record, and inside the padding behind a switch record: rounded down to a record's end", async () => {
    const [, , third = 0n] = lsns;
    const { spans, record } = store.server.store.tenants.timeline(TENANT, parent);
    expect(spans).toHaveLength(1);
    expect(record.pg_version).toBe(17);
    for (const [index, offset] of [8n, 1n, 50n].entries()) {
      const child = id(`d${index}`);
      const { body } = await branch(child, parent, third + offset);
      const at = parseLsn(String(body.ancestor_lsn));
      expect(at).toBeLessThanOrEqual(third + offset);
      expect(at).toBeGreaterThanOrEqual(third);
    }
    const child = id("d9");
    // The switch record follows the third commit at once; the next segment starts with what is behind it.
    const padding = (third / 0x1000000n + 1n) * 0x1000000n - 100n;
    const { body } = await branch(child, parent, padding);
    expect(parseLsn(String(body.ancestor_lsn))).toBeLessThan(padding);
    expect(await numbers(server, child)).toEqual([1, 2, 3]);
    await writeTo(server, child, ["INSERT INTO public.t VALUES (31)"]);
    expect(await numbers(server, child)).toEqual([1, 2, 3, 31]);
  });

  test("a backup in the past, cut inside a record: the state at the record before", async () => {
    expect(await numbers(server, parent, (lsns[3] ?? 0n) + 24n)).toEqual([1, 2, 3, 4]);
    expect(await numbers(server, parent, lsns[0])).toEqual([1]);
  });

  test("asking again, with other parameters, out of range", async () => {
    const child = id("e0");
    const first = await branch(child, parent, lsns[1]);
    expect(await branch(child, parent, lsns[1])).toEqual({ ...first, headers: expect.anything() });
    expect((await branch(child, parent)).status).toBe(201);
    expect((await branch(child, parent, lsns[2])).status).toBe(409);
    expect((await branch(child, OTHER)).status).toBe(404);
    expect((await branch(parent, child)).status).toBe(409);
    const bootstrap = { new_timeline_id: child, pg_version: 17 };
    expect((await store.http("POST", TIMELINES, bootstrap)).status).toBe(409);

    const above = await branch(id("e1"), parent, end + 0x10000000n);
    expect(above).toMatchObject({ status: 406, body: { msg: expect.stringContaining("is above") } });
    const below = await branch(id("e1"), parent, 8n);
    expect(below).toMatchObject({
      status: 406,
      body: { msg: expect.stringMatching(/^invalid branch start lsn: 0\/8 is less than latest GC cutoff/) },
    });
    const foreign = await branch(id("e1"), child, lsns[0]);
    expect(foreign).toMatchObject({ status: 406, body: { msg: expect.stringContaining("itself branches off") } });
    expect((await store.http("GET", `${TIMELINES}/${id("e1")}`)).status).toBe(404);

    const together = await Promise.all(Array.from({ length: 5 }, () => branch(id("e2"), parent, lsns[0])));
    expect(together.map(({ status }) => status)).toEqual([201, 201, 201, 201, 201]);
  });

  test("a parent is not deleted while it has children", async () => {
    const child = id("f0");
    const grandchild = id("f1");
    await branch(child, parent);
    await branch(grandchild, child);
    const refused = await store.http("DELETE", `${TIMELINES}/${child}`);
    expect(refused).toMatchObject({ status: 412, body: { msg: expect.stringContaining(grandchild) } });
    for (const each of [grandchild, child]) {
      expect((await store.http("DELETE", `${TIMELINES}/${each}`)).status).toBe(202);
      await store.server.store.tenants.settled();
    }
    expect((await store.http("GET", `${TIMELINES}/${child}`)).status).toBe(404);
  });

  test("storage-protocols.md case 29: below the image there is a clear error, never a start", async () => {
    const { error } = await store.query(`basebackup ${TENANT} ${parent} 0/1000028`);
    expect(error?.message).toMatch(/^invalid basebackup lsn: LSN 0\/1000028 is earlier than latest GC cutoff/);
  });

  test("the LSN at a time, and the time at an LSN", async () => {
    const ask = (query: string) => store.http("GET", `${TIMELINES}/${parent}/${query}`);
    const times = await Promise.all(
      lsns.map(async (lsn) => String((await ask(`get_timestamp_of_lsn?lsn=${formatLsn(lsn)}`)).body)),
    );
    expect([...times].sort()).toEqual(times);
    for (const [index, time] of times.entries()) {
      const { body } = await ask(`get_lsn_by_timestamp?timestamp=${encodeURIComponent(time)}&with_lease=true`);
      expect(body).toMatchObject({ kind: "present", valid_until: expect.any(String) });
      const lsn = parseLsn(String(body.lsn));
      expect(lsn).toBeLessThanOrEqual(lsns[index] ?? 0n);
      if (index === 2) expect(await numbers(server, parent, lsn)).toEqual([1, 2, 3]);
    }
    const tip = (await store.server.store.tenants.timeline(TENANT, parent).walEnd()).end;
    const at = async (time: string) => (await ask(`get_lsn_by_timestamp?timestamp=${time}`)).body;
    expect(await at("2100-01-01T00:00:00Z")).toEqual({ kind: "future", lsn: formatLsn(tip) });
    const { body } = await store.http("GET", `${TIMELINES}/${parent}`);
    expect(await at("2001-01-01T00:00:00%2B02:00")).toEqual({ kind: "past", lsn: body.min_readable_lsn });
    expect((await ask("get_lsn_by_timestamp?timestamp=yesterday")).status).toBe(400);
    expect((await ask("get_timestamp_of_lsn?lsn=x")).status).toBe(400);
    expect((await ask(`get_timestamp_of_lsn?lsn=${String(body.min_readable_lsn)}`)).status).toBe(412);

    const quiet = id("f9");
    await store.createTimeline(17, quiet);
    const nothing = await store.http(
      "GET",
      `${TIMELINES}/${quiet}/get_lsn_by_timestamp?timestamp=2100-01-01T00:00:00Z`,
    );
    expect(nothing.body).toMatchObject({ kind: "nodata" });
  });
});

test("storage-protocols.md case 33: an identifier of 19 digits is compared exactly", async () => {
  await store.createTimeline(17, TIMELINE);
  const timeline = store.server.store.tenants.timeline(TENANT, TIMELINE);
  const target = targetOf(timeline, store.server.addresses.safekeeper);
  expect(target.systemId).toBeGreaterThan(BigInt(Number.MAX_SAFE_INTEGER));
  await using push = await PushClient.connect(target);
  push.send(push.greeting({ systemId: target.systemId + 1n }));
  await expect(push.next()).rejects.toThrow(`system identifier ${target.systemId + 1n}`);
});
