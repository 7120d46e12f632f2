import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseNeonStoreArguments } from "../../src/cli/neon_store_arguments.ts";
import { runCheck, runShow } from "../../src/cli/neon_store_inspect.ts";
import { checkStore } from "../../src/store/inspect/check_store.ts";
import { type StoreSummary, summarizeStore } from "../../src/store/inspect/show_store.ts";
import { timelineLayout } from "../../src/store/layout.ts";
import { encodeRecord } from "../../src/store/record_file.ts";
import { parseBackupLabel } from "../../src/wire/backup_label.ts";
import { formatLsn, type Lsn } from "../../src/wire/lsn.ts";
import { segmentNumber, segmentOffset } from "../../src/wire/wal/segment.ts";
import { installations } from "../support/postgres.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temp_directory.ts";
import { PushClient, targetOf, walAt } from "./push_client.ts";
import { OTHER, RunningStore, TENANT, TIMELINE } from "./running_store.ts";
import { pushServerWal } from "./server_wal.ts";
import { unpack } from "./unpacked.ts";

const run = promisify(execFile);
const BRANCH = "22222222222222222222222222222222";

let directory: TemporaryDirectory;
let intact: string;
let start: Lsn;
let middle: Lsn;
let end: Lsn;

beforeAll(async () => {
  directory = await temporaryDirectory();
  intact = join(directory.path, "intact");
  await using store = await RunningStore.start({ dir: intact });
  start = await store.createTimeline(17);
  const timeline = store.server.store.tenants.timeline(TENANT, TIMELINE);
  const wal = walAt(
    targetOf(timeline, store.server.addresses.safekeeper),
    start,
    (await timeline.walEnd()).lastRecordStart,
  );
  await using push = await PushClient.elected(targetOf(timeline, store.server.addresses.safekeeper));
  await push.append(wal.record(Buffer.alloc(1000)).take());
  middle = wal.position;
  await push.append(wal.record(Buffer.alloc(5000)).take(), middle);
  end = wal.position;
  await store.server.store.branch({ tenantId: TENANT, timelineId: BRANCH, ancestorId: TIMELINE, lsn: middle });
  // Read-only, and it does not mind a store that runs.
  expect(await checkStore(intact)).toMatchObject({ problems: [], tenants: 1, timelines: 2, images: 1, segments: 2 });
});
afterAll(async () => {
  await directory[Symbol.asyncDispose]();
});

const output = () => {
  const text = { out: "", err: "" };
  const out = (part: string): void => {
    text.out += part;
  };
  const err = (part: string): void => {
    text.err += part;
  };
  return { text, out, err };
};

test("neon-store show", async () => {
  const json = output();
  expect(await runShow(intact, true, json)).toBe(0);
  const summary = JSON.parse(json.text.out) as StoreSummary;
  expect(summary).toEqual(await summarizeStore(intact));
  expect(summary.tenants).toMatchObject([
    {
      tenant_id: TENANT,
      mode: "AttachedSingle",
      timelines: [
        {
          timeline_id: BRANCH,
          ancestor_timeline_id: TIMELINE,
          ancestor_lsn: formatLsn(middle),
          flush_lsn: formatLsn(middle),
        },
        {
          timeline_id: TIMELINE,
          ancestor_timeline_id: null,
          start_lsn: formatLsn(start),
          // Stored when the store stopped.
          commit_lsn: formatLsn(middle),
          flush_lsn: formatLsn(end),
          term: 1,
          last_log_term: 1,
        },
      ],
    },
  ]);
  const people = output();
  expect(await runShow(intact, false, people)).toBe(0);
  expect(people.text.out).toContain(
    `  timeline ${BRANCH} PostgreSQL 17, branched from ${TIMELINE} at ${formatLsn(middle)}`,
  );
  const nothing = output();
  expect(await runShow(join(directory.path, "nowhere"), false, nothing)).toBe(4);
  expect(nothing.text.err).toContain("store.json is damaged: it is missing");
});

describe("neon-store check", () => {
  test("a whole store", async () => {
    const sink = output();
    expect(await runCheck(intact, sink)).toBe(0);
    expect(sink.text.out).toMatch(/^no problems in 1 tenants, 2 timelines, 1 images, 2 segments, \d{3,} chunks\n$/);
  });

  const own = join("tenants", TENANT, TIMELINE);
  const flip =
    (at: (bytes: Buffer) => number) =>
    async (path: string): Promise<void> => {
      const bytes = await readFile(path);
      bytes[at(bytes)] = (bytes[at(bytes)] ?? 0) ^ 1;
      await writeFile(path, bytes);
    };
  const half = flip((bytes) => bytes.length >> 1);
  const segment = () => join(own, "wal", `00000001000000000000000${segmentNumber(start)}`);
  test.each<[string, () => string, (path: string) => Promise<void>, string]>([
    ["store.json", () => "store.json", half, "is damaged"],
    ["tenant.json", () => join("tenants", TENANT, "tenant.json"), half, "is damaged"],
    ["timeline.json", () => join(own, "timeline.json"), half, "is damaged"],
    ["acceptor.json", () => join(own, "acceptor.json"), half, "is damaged"],
    ["acceptor.json that is gone", () => join(own, "acceptor.json"), (path) => rm(path), "it is missing"],
    ["a manifest", () => timelineLayout(own).image(start), half, "is damaged"],
    ["a record", segment, flip(() => segmentOffset(start) + 200), "its WAL breaks off"],
    ["a segment that is too short", segment, (path) => truncate(path, 1_000_000), "1000000 bytes instead of"],
    ["a segment that is gone", segment, (path) => rm(path), "it is missing"],
  ])("%s", async (_what, file, damage, problem) => {
    await using copy = await temporaryDirectory();
    const dir = join(copy.path, "store");
    await cp(intact, dir, { recursive: true });
    const path = join(dir, file());
    await damage(path);
    const sink = output();
    expect(await runCheck(dir, sink)).toBe(1);
    expect(sink.text.out.split("\n").some((line) => line.includes(path) && line.includes(problem))).toBe(true);
    expect(sink.text.out).toMatch(/\d problems in /);
  });

  test.each([
    ["whose bytes changed", half, "its checksum does not fit its content"],
    ["that is gone", (path: string) => rm(path), "is missing, "],
    ["that is empty", (path: string) => truncate(path, 0), "it has only 0 bytes"],
  ])("a chunk %s", async (_what, damage, problem) => {
    await using copy = await temporaryDirectory();
    const dir = join(copy.path, "store");
    await cp(intact, dir, { recursive: true });
    const [prefix = ""] = await readdir(join(dir, "chunks"));
    const [id = ""] = await readdir(join(dir, "chunks", prefix));
    await damage(join(dir, "chunks", prefix, id));
    const { problems } = await checkStore(dir);
    expect(problems.filter((line) => line.includes(id) && line.includes(problem))).not.toEqual([]);
  });
});

test("the command line", () => {
  const sink = output();
  expect(parseNeonStoreArguments(["check", "--dir", "/x"], sink)).toEqual({ kind: "check", dir: "/x" });
  expect(parseNeonStoreArguments(["--dir", "/x", "show", "--json"], sink)).toEqual({
    kind: "show",
    dir: "/x",
    json: true,
  });
  expect(parseNeonStoreArguments(["check"], sink)).toEqual({ kind: "exit", code: 2 });
  expect(parseNeonStoreArguments(["chek", "--dir", "/x"], sink)).toEqual({ kind: "exit", code: 2 });
});

test("an acceptor that lost its state file is no new one: nobody is elected", async () => {
  await using copy = await temporaryDirectory();
  const dir = join(copy.path, "store");
  await cp(intact, dir, { recursive: true });
  await rm(join(dir, "tenants", TENANT, TIMELINE, "acceptor.json"));
  await using store = await RunningStore.start({ dir });
  const timeline = store.server.store.tenants.timeline(TENANT, TIMELINE);
  await expect(PushClient.connect(targetOf(timeline, store.server.addresses.safekeeper))).rejects.toThrow(
    /acceptor\.json is damaged: it is missing/,
  );
});

test("an image is never used below its own LSN: rows that were never committed would show", async () => {
  await using copy = await temporaryDirectory();
  const dir = join(copy.path, "store");
  await cp(intact, dir, { recursive: true });
  const layout = timelineLayout(join(dir, "tenants", TENANT, TIMELINE));
  const parse = async (path: string) => {
    const { crc32c: _, ...value } = JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;
    return value;
  };
  // A second image, as moving the first one forward makes it.
  const moved = { lsn: formatLsn(end), redo: formatLsn(middle), checkpoint: formatLsn(middle) };
  await writeFile(layout.image(end), encodeRecord({ ...(await parse(layout.image(start))), ...moved }));
  const images = [formatLsn(start), formatLsn(end)];
  await writeFile(layout.timelineFile, encodeRecord({ ...(await parse(layout.timelineFile)), images }));
  await using store = await RunningStore.start({ dir });
  const redoAt = async (timelineId: string, lsn: Lsn): Promise<Lsn> => {
    await using backup = await unpack(
      (await store.query(`basebackup ${TENANT} ${timelineId} ${formatLsn(lsn)}`)).copied,
    );
    return parseBackupLabel((await backup.read("backup_label")).toString()).start;
  };
  expect(await redoAt(TIMELINE, end)).toBe(middle);
  expect(await redoAt(TIMELINE, middle)).toBeLessThan(start);
  // A branch below the image inherits the older one only.
  expect(await redoAt(BRANCH, middle)).toBeLessThan(start);
});

const PG_WALDUMP = "/usr/lib/postgresql/15/bin/pg_waldump";
test.skipIf(!existsSync(PG_WALDUMP) || !installations().some(({ major }) => major === 15))(
  "pg_waldump reads the segments up to the last record",
  async () => {
    await using store = await RunningStore.start();
    const from = await store.createTimeline(15, OTHER);
    const server = installations().find(({ major }) => major === 15);
    if (!server) throw new Error("no PostgreSQL 15");
    const timeline = store.server.store.tenants.timeline(TENANT, OTHER);
    await using compute = await unpack((await store.query(`basebackup ${TENANT} ${OTHER}`)).copied);
    await compute.runSql(
      server,
      [
        "CREATE TABLE public.t AS SELECT g, repeat(md5(g::text), 30) FROM generate_series(1, 20000) g",
        "SELECT pg_switch_wal()",
      ],
      "immediate",
    );
    const last = await pushServerWal(compute.pgdata, targetOf(timeline, store.server.addresses.safekeeper));
    expect(segmentNumber(last)).toBeGreaterThan(segmentNumber(from));
    const { walDir } = timeline.layout;
    const { stdout } = await run(
      PG_WALDUMP,
      ["--path", walDir, "--start", formatLsn(from), "--end", formatLsn(last), "--timeline", "1"],
      { maxBuffer: 256 * 1024 * 1024 },
    );
    const lines = stdout.trim().split("\n");
    expect(lines[0]).toContain(`lsn: ${formatLsn(from).replace("/", "/0")}`);
    const { lastRecordStart = 0n } = await timeline.walEnd();
    const [high, low] = formatLsn(lastRecordStart).split("/");
    expect(lines.at(-1)).toContain(`lsn: ${high}/${(low ?? "").padStart(8, "0")}`);
    expect((await checkStore(store.dir)).problems).toEqual([]);
  },
);
