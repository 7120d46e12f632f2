import { randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Timeline } from "../../src/store/timeline.ts";
import { formatLsn, type Lsn, parseLsn } from "../../src/wire/lsn.ts";
import { protocol2 } from "../../src/wire/safekeeper/protocol2.ts";
import { FIRST_OVERWRITES_CONTINUATION } from "../../src/wire/wal/page_header.ts";
import {
  segmentNumber,
  segmentOffset,
  WAL_PAGE_SIZE,
  WAL_SEGMENT_SIZE,
  walSegmentName,
} from "../../src/wire/wal/segment.ts";
import type { WalBuilder } from "../wire/wal/wal_builder.ts";
import { PushClient, type PushTarget, targetOf, walAt } from "./push_client.ts";
import { RunningStore, TENANT, TIMELINE } from "./running_store.ts";

let store: RunningStore;
beforeAll(async () => {
  store = await RunningStore.start();
  await store.createTimeline(17);
});
afterAll(async () => {
  await store[Symbol.asyncDispose]();
});

interface Fresh {
  readonly timeline: Timeline;
  readonly target: PushTarget;
  readonly start: Lsn;
  /** WAL that goes on where the timeline ends. */
  readonly wal: WalBuilder;
}

/** A timeline nobody has written to yet. */
async function fresh(): Promise<Fresh> {
  const timelineId = randomBytes(16).toString("hex");
  const branch = { tenantId: TENANT, timelineId, ancestorId: TIMELINE, lsn: undefined };
  return await describeTimeline(await store.server.store.branch(branch), store);
}

async function describeTimeline(timeline: Timeline, of: RunningStore): Promise<Fresh> {
  const target = targetOf(timeline, of.server.addresses.safekeeper);
  const { end, lastRecordStart } = await timeline.walEnd();
  return { timeline, target, start: end, wal: walAt(target, end, lastRecordStart) };
}

const record = (wal: WalBuilder, bytes = 100): Buffer => wal.record(randomBytes(bytes)).take();

async function status({ target }: Fresh, of = store): Promise<[Lsn, Lsn]> {
  const options = `timeline_id=${target.timelineId} tenant_id=${TENANT}`;
  await using client = await of.connect("safekeeper", { options });
  const [row = []] = (await client.query("TIMELINE_STATUS")).rows;
  return [parseLsn(row[0] ?? ""), parseLsn(row[1] ?? "")];
}

describe("storage-protocols.md case 17", () => {
  test("one vote a term; append before elected, a gap and a lower term", async () => {
    const { target, start, wal } = await fresh();
    await using push = await PushClient.connect(target);
    await push.ask("greeting", push.greeting());
    expect(await push.vote(5n)).toMatchObject({
      term: 5n,
      given: true,
      flushLsn: start,
      history: [{ term: 0n, lsn: start }],
    });
    expect(await push.vote(5n)).toMatchObject({ term: 5n, given: false, flushLsn: start });
    push.term = 5n;
    push.position = start;
    const first = record(wal);
    push.sendAppends(first);
    await expect(push.next()).rejects.toThrow("got AppendRequest before ProposerElected");

    await using winner = await PushClient.elected(target);
    expect(winner.term).toBe(6n);
    winner.position += 8n;
    winner.sendAppends(first);
    await expect(winner.next()).rejects.toThrow("refusing WAL that begins at");

    await using older = await PushClient.elected(target);
    await using newer = await PushClient.elected(target);
    expect(await newer.append(first)).toMatchObject({ flushLsn: wal.position });
    expect(await older.append(first)).toMatchObject({ term: newer.term, flushLsn: 0n, commitLsn: 0n });
  });

  test("a restart keeps term, history and flushed WAL", async () => {
    await using own = await RunningStore.start();
    await own.createTimeline(17);
    const first = await describeTimeline(own.server.store.tenants.timeline(TENANT, TIMELINE), own);
    {
      await using push = await PushClient.elected(first.target);
      await push.append(record(first.wal));
    }
    const end = first.wal.position;
    await own.stop();
    await using again = await RunningStore.start({ dir: own.dir });
    const second = await describeTimeline(again.server.store.tenants.timeline(TENANT, TIMELINE), again);
    await using push = await PushClient.connect(second.target);
    expect(await push.ask("greeting", push.greeting())).toMatchObject({ term: 1n, nodeId: 1n });
    const history = [
      { term: 0n, lsn: first.start },
      { term: 1n, lsn: first.start },
    ];
    expect(await push.vote(1n)).toMatchObject({ term: 1n, given: false, flushLsn: end, history });
    expect(second.start).toBe(end);
  });
});

test("storage-protocols.md case 18: protocol 2 does the same, its greeting has the term before the node id", async () => {
  const { target, wal, timeline } = await fresh();
  await using push = await PushClient.connect(target, protocol2);
  push.send(push.greeting());
  const bytes = await push.raw.next();
  if (bytes?.type !== "copyData") throw new Error("no greeting");
  expect(bytes.data.readBigUInt64LE(0)).toBe(BigInt("g".charCodeAt(0)));
  expect([bytes.data.readBigUInt64LE(8), bytes.data.readBigUInt64LE(16)]).toEqual([0n, 1n]);
  await push.elect();
  expect(await push.append(record(wal))).toMatchObject({ term: 1n, flushLsn: wal.position });
  expect((await timeline.walEnd()).end).toBe(wal.position);
});

describe("storage-protocols.md case 19: START_REPLICATION", () => {
  const replicate = async (target: PushTarget, command: string) => {
    const client = await store.connect("safekeeper", {
      options: `timeline_id=${target.timelineId} tenant_id=${TENANT}`,
    });
    await client.startCopy(command);
    return client;
  };

  test("sends what is committed and no more, then keepalives with reply flag 1", async () => {
    const { target, start, wal } = await fresh();
    await using push = await PushClient.elected(target);
    const first = record(wal, 300_000);
    await push.append(first);
    const committed = wal.position;
    await push.append(new Uint8Array(0), committed);
    await push.append(record(wal));
    await using client = await replicate(target, `START_REPLICATION SLOT "x" PHYSICAL ${formatLsn(start)} TIMELINE 1`);
    const pieces: Buffer[] = [];
    for (;;) {
      const message = await client.next();
      if (message?.type !== "copyData") throw new Error("the stream ended");
      if (message.data[0] === "k".charCodeAt(0)) {
        expect(message.data.readBigUInt64BE(1)).toBe(committed);
        expect(message.data.readUInt8(17)).toBe(1);
        break;
      }
      expect(message.data.length).toBeLessThanOrEqual(131_072 + 25);
      expect(message.data.readBigUInt64BE(9)).toBe(committed);
      pieces.push(message.data.subarray(25));
    }
    expect(Buffer.concat(pieces).equals(first)).toBe(true);
    // More is sent as soon as it is committed.
    await push.append(new Uint8Array(0), wal.position);
    const more = await client.next();
    expect(more?.type === "copyData" && more.data.readBigUInt64BE(9)).toBe(wal.position);
  });

  test("with a term: what is flushed, as long as it is that term", async () => {
    const { target, start, wal } = await fresh();
    await using push = await PushClient.elected(target);
    await push.append(record(wal));
    await using wrong = await replicate(target, `START_REPLICATION PHYSICAL ${formatLsn(start)} (term='9')`);
    expect((await wrong.reply()).error).toMatchObject({ message: "failed to acquire term 9, current term 1" });
    await using right = await replicate(target, `START_REPLICATION PHYSICAL ${formatLsn(start)} (term='1')`);
    const message = await right.next();
    expect(message?.type === "copyData" && message.data.readBigUInt64BE(9)).toBe(wal.position);
    await using other = await PushClient.elected(target);
    expect((await right.reply()).error?.message).toBe("term changed: requested 1, now 2");
    expect(other.term).toBe(2n);
  });

  test("a branch is read through its ancestors", async () => {
    const { target, start } = await fresh();
    const first = parseLsn("0/1000000");
    await using client = await replicate(target, `START_REPLICATION PHYSICAL ${formatLsn(first)}`);
    const message = await client.next();
    if (message?.type !== "copyData") throw new Error("nothing came");
    expect(message.data.readBigUInt64BE(9)).toBe(start);
    expect(message.data.readBigUInt64LE(25 + 24)).toBe(target.systemId);
  });
});

test("storage-protocols.md case 37: every empty append at the written end is answered, a byte off is an error", async () => {
  const { target, wal } = await fresh();
  await using push = await PushClient.elected(target);
  await push.append(record(wal));
  for (let i = 0; i < 3; i++) expect(await push.append()).toMatchObject({ flushLsn: wal.position });
  for (const off of [1n, -1n]) {
    await using other = await PushClient.elected(target);
    other.position = wal.position + off;
    other.sendAppends(new Uint8Array(0));
    await expect(other.next()).rejects.toThrow("refusing WAL that begins at");
  }
});

describe("storage-protocols.md case 38, storage-protocols.md case 30: flush_lsn is the end of the last whole record", () => {
  test("the rest of a record moves it; a disconnect in between throws the piece away", async () => {
    const subject = await fresh();
    const { target, wal } = subject;
    const end = wal.position + BigInt(record(wal).length);
    const whole = walAt(target, subject.start, (await subject.timeline.walEnd()).lastRecordStart);
    const first = whole.record(Buffer.alloc(200)).take();
    const boundary = whole.position;
    const large = whole.record(Buffer.alloc(40_000)).take();
    expect(end).toBeGreaterThan(subject.start);
    {
      await using push = await PushClient.elected(target);
      expect(await push.append(Buffer.concat([first, large.subarray(0, 20_000)]))).toMatchObject({
        flushLsn: boundary,
      });
      expect(await push.append(large.subarray(20_000))).toMatchObject({ flushLsn: whole.position });
      const torn = whole.record(Buffer.alloc(30_000)).take();
      await push.append(torn.subarray(0, 15_000));
    }
    await using next = await PushClient.connect(target);
    await next.ask("greeting", next.greeting());
    const before = boundary + BigInt(large.length);
    expect(await next.vote(2n)).toMatchObject({ given: true, flushLsn: before });
  });

  test("after a restart the torn piece is not part of the log, and a new writer goes on at the record's end", async () => {
    await using own = await RunningStore.start();
    await own.createTimeline(17);
    const first = await describeTimeline(own.server.store.tenants.timeline(TENANT, TIMELINE), own);
    const good = record(first.wal);
    const end = first.wal.position;
    {
      await using push = await PushClient.elected(first.target);
      await push.append(Buffer.concat([good, record(first.wal, 30_000).subarray(0, 20_000)]));
    }
    await own.stop();
    await using again = await RunningStore.start({ dir: own.dir });
    const timeline = again.server.store.tenants.timeline(TENANT, TIMELINE);
    const second = await describeTimeline(timeline, again);
    expect(second.start).toBe(end);
    await using push = await PushClient.elected(second.target);
    // The election zeroed the piece.
    const segment = await readFile(timeline.layout.segment(segmentNumber(end)));
    expect(segment.subarray(segmentOffset(end)).every((byte) => byte === 0)).toBe(true);
    await push.append(record(second.wal, 50_000));
    expect((await timeline.walEnd()).end).toBe(second.wal.position);
    expect((await again.query(`basebackup ${TENANT} ${TIMELINE}`)).tag).toBe("SELECT 1");
  });

  test("a page that overwrites a torn record is refused: it could never be moved to real safekeepers", async () => {
    const { target, wal } = await fresh();
    await using push = await PushClient.elected(target);
    wal.record(randomBytes(20_000), { cutAt: 9000 });
    wal.overwrite();
    const bytes = wal.take();
    expect(bytes.some((_, at) => at % 2 === 0 && bytes.readUInt16LE(at) === FIRST_OVERWRITES_CONTINUATION)).toBe(true);
    push.sendAppends(bytes);
    await expect(push.next()).rejects.toThrow("page overwrites a record that was given up");
  });
});

describe("storage-protocols.md case 40", () => {
  test("an `e` with another start than the common point ends the connection, nothing is cut", async () => {
    const subject = await fresh();
    const { target, start, wal } = subject;
    {
      await using push = await PushClient.elected(target);
      await push.append(record(wal));
    }
    await using late = await PushClient.connect(target);
    await late.ask("greeting", late.greeting());
    const { history } = await late.vote(2n);
    const elected = { type: "elected", generation: 0, term: 2n, startStreamingAt: start } as const;
    late.send({ ...elected, history: [...history, { term: 2n, lsn: wal.position }] });
    await expect(late.next()).rejects.toThrow("refusing to start streaming at");
    expect((await status(subject))[0]).toBe(wal.position);
  });

  test("below the commit LSN nothing is cut and the connection ends", async () => {
    const subject = await fresh();
    const { target, start, wal } = subject;
    {
      await using push = await PushClient.elected(target);
      await push.append(record(wal));
      await push.append(new Uint8Array(0), wal.position);
    }
    await using foreign = await PushClient.connect(target);
    await foreign.ask("greeting", foreign.greeting());
    await foreign.vote(3n);
    const history = [
      { term: 0n, lsn: start },
      { term: 3n, lsn: start },
    ];
    foreign.send({ type: "elected", generation: 0, term: 3n, startStreamingAt: start, history });
    await expect(foreign.next()).rejects.toThrow("is committed");
    expect(await status(subject)).toEqual([wal.position, wal.position]);
  });
});

test("storage-protocols.md case 41: a tail of another term is cut: later segments go, the rest is zeros", async () => {
  const subject = await fresh();
  const { target, start, wal, timeline } = subject;
  {
    await using push = await PushClient.elected(target);
    for (let i = 0; i < 36; i++) wal.record(randomBytes(1_000_000));
    await push.append(wal.take());
    expect((await status(subject))[0]).toBe(wal.position);
  }
  expect((await readdir(timeline.layout.walDir)).length).toBeGreaterThanOrEqual(3);
  await using winner = await PushClient.connect(target);
  await winner.ask("greeting", winner.greeting());
  await winner.vote(3n);
  const history = [
    { term: 0n, lsn: start },
    { term: 3n, lsn: start },
  ];
  winner.term = 3n;
  winner.position = start;
  winner.send({ type: "elected", generation: 0, term: 3n, startStreamingAt: start, history });
  const other = walAt(
    target,
    start,
    (await store.server.store.tenants.timeline(TENANT, TIMELINE).walEnd()).lastRecordStart,
  );
  expect(await winner.append(record(other))).toMatchObject({ term: 3n, flushLsn: other.position });
  const segment = segmentNumber(start);
  expect(await readdir(timeline.layout.walDir)).toEqual([walSegmentName(segment)]);
  const bytes = await readFile(timeline.layout.segment(segment));
  expect(bytes).toHaveLength(WAL_SEGMENT_SIZE);
  expect(bytes.subarray(segmentOffset(other.position)).every((byte) => byte === 0)).toBe(true);
});

test("storage-protocols.md case 42: commit_lsn in answers follows the file, TIMELINE_STATUS the memory", async () => {
  const subject = await fresh();
  const { target, start, wal } = subject;
  await using push = await PushClient.elected(target);
  await push.append(record(wal));
  // The stored value has reached the term's start with the election: a sync ends within one round trip.
  expect(await push.append(new Uint8Array(0), wal.position)).toMatchObject({ commitLsn: start });
  expect(await status(subject)).toEqual([wal.position, wal.position]);
});

describe("what is refused", () => {
  test.each([
    ["another tenant", { tenantId: "f".repeat(32) }, "it is for timeline"],
    ["another major", { pgVersion: 160_005 }, "this timeline's is 170000"],
    ["another system", { systemId: 1n }, "its server has system identifier 1"],
    ["another segment size", { walSegSize: 1024 * 1024 }, "its WAL segments have 1048576 bytes"],
  ])("a greeting of %s", async (_what, changes, message) => {
    await using push = await PushClient.connect((await fresh()).target);
    push.send(push.greeting(changes));
    await expect(push.next()).rejects.toThrow(message);
  });

  test("WAL that Postgres would not replay: a record that points at another one, a wrong checksum, a wrong page", async () => {
    const { target, start, wal } = await fresh();
    const good = record(wal, 20_000);
    const damaged = (at: number): Buffer => {
      const copy = Buffer.from(good);
      copy[at] = (copy[at] ?? 0) ^ 1;
      return copy;
    };
    const page = Number((BigInt(WAL_PAGE_SIZE) - (start % BigInt(WAL_PAGE_SIZE))) % BigInt(WAL_PAGE_SIZE));
    for (const [bytes, message] of [
      [walAt(target, start, 8n).record(Buffer.alloc(10)).take(), "record does not point at the one before it"],
      [damaged(good.length - 5), "record with a wrong checksum"],
      [damaged(page + 8), "page address belongs to another place"],
    ] as const) {
      await using push = await PushClient.elected(target);
      push.sendAppends(bytes);
      await expect(push.next()).rejects.toThrow(message);
    }
    await using push = await PushClient.elected(target);
    expect(await push.append(good)).toMatchObject({ flushLsn: wal.position });
  });

  test("a timeline that is not there is never made, whatever the proposer allows", async () => {
    const target = { ...(await fresh()).target, timelineId: "9".repeat(32) };
    await expect(PushClient.connect(target)).rejects.toThrow("was not found");
    await using client = await store.connect("safekeeper", {
      options: `timeline_id=${"9".repeat(32)} tenant_id=${TENANT}`,
    });
    await expect(
      client.startCopy("START_WAL_PUSH (proto_version '3', allow_timeline_creation 'true')"),
    ).rejects.toThrow("was not found");
  });

  test("what is no message", async () => {
    const { target } = await fresh();
    await using push = await PushClient.connect(target);
    push.raw.socket.write(Buffer.concat([Buffer.from([0x64, 0, 0, 0, 5]), Buffer.from("x")]));
    await expect(push.next()).rejects.toThrow("invalid safekeeper message: unknown tag 0x78");
  });
});

test("a filled segment, one after the other, in appends of all sizes, is what a reader gets", async () => {
  const { target, start, wal, timeline } = await fresh();
  await using push = await PushClient.elected(target);
  for (let i = 0; i < 80; i++) {
    const bytes = record(wal, 10 ** (i % 7) + i);
    const answer = await push.append(bytes, 0n, [131_072, 70_001, 4099][i % 3]);
    expect(answer.flushLsn).toBe(wal.position);
  }
  expect(segmentNumber(wal.position)).toBeGreaterThan(segmentNumber(start));
  await timeline.checkWal(start);
  expect(await timeline.walEnd()).toEqual({ end: wal.position, lastRecordStart: wal.records.at(-1)?.start });
  const { body } = await store.http("GET", `/v1/tenant/${TENANT}/timeline/${target.timelineId}`);
  expect(body).toMatchObject({
    acceptor_state: {
      term: 1,
      epoch: 1,
      term_history: [
        { term: 0, lsn: formatLsn(start) },
        { term: 1, lsn: formatLsn(start) },
      ],
    },
    last_record_lsn: formatLsn(wal.position),
    flush_lsn: formatLsn(wal.position),
    timeline_start_lsn: formatLsn(start),
    walreceivers: [{ status: "Streaming" }],
  });
});

test("a switch record moves the end to the next segment", async () => {
  const { target, wal, timeline } = await fresh();
  await using push = await PushClient.elected(target);
  const bytes = wal.record(Buffer.alloc(0), { rmgr: 0, info: 0x40 }).take();
  // The record itself, not the zeros behind it.
  expect(await push.append(bytes.subarray(0, 24))).toMatchObject({ flushLsn: wal.position });
  expect((await timeline.walEnd()).end).toBe(wal.position);
  push.sendAppends(bytes.subarray(24));
  push.sendAppends(record(wal));
  await vi.waitFor(async () => expect(await push.next()).toMatchObject({ flushLsn: wal.position }), { interval: 0 });
});

test("deleting a timeline ends its proposer; a detached tenant is not served and comes back", async () => {
  const gone = await fresh();
  await using push = await PushClient.elected(gone.target);
  await push.append(record(gone.wal));
  const path = `/v1/tenant/${TENANT}/timeline/${gone.target.timelineId}`;
  expect((await store.http("DELETE", path)).status).toBe(202);
  await expect(push.next()).rejects.toThrow("is being deleted");
  await store.server.store.tenants.settled();
  await expect(PushClient.connect(gone.target)).rejects.toThrow("was not found");

  const kept = await fresh();
  await using other = await PushClient.elected(kept.target);
  const location = (mode: string) =>
    store.http("PUT", `/v1/tenant/${TENANT}/location_config`, { mode, generation: 1, tenant_conf: {} });
  expect((await location("Detached")).status).toBe(200);
  await expect(other.next()).rejects.toThrow("was detached");
  await expect(PushClient.connect(kept.target)).rejects.toThrow("was not found");
  expect((await location("AttachedSingle")).status).toBe(200);
  await using back = await PushClient.elected(kept.target);
  expect(await back.append(record(kept.wal))).toMatchObject({ flushLsn: kept.wal.position });
});

test("a store that stops ends proposers at once", async () => {
  await using own = await RunningStore.start();
  await own.createTimeline(17);
  const subject = await describeTimeline(own.server.store.tenants.timeline(TENANT, TIMELINE), own);
  await using push = await PushClient.elected(subject.target);
  await push.append(record(subject.wal));
  const stopped = own.server.stop(60_000);
  await expect(push.next()).rejects.toThrow("shutting down");
  expect(await Promise.race([stopped.then(() => "stopped"), delay(10_000, "still there")])).toBe("stopped");
});
