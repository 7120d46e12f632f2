import { cp, mkdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { encodeRecord } from "../../src/store/record_file.ts";
import { segmentOffset } from "../../src/wire/wal/segment.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temp_directory.ts";
import { OTHER, RunningStore, TENANT, TIMELINE } from "./running_store.ts";

let directory: TemporaryDirectory;
let intact: string;
let lsn: bigint;
/** Below the store's directory. */
let files: Record<"store" | "tenant" | "timeline" | "image" | "segment" | "chunk" | "control", string>;

beforeAll(async () => {
  directory = await temporaryDirectory();
  intact = join(directory.path, "intact");
  const store = await RunningStore.start({ dir: intact });
  lsn = await store.createTimeline(17);
  const { layout } = store.server.store.tenants.timeline(TENANT, TIMELINE);
  const below = (path: string): string => path.slice(intact.length + 1);
  const image = JSON.parse(await readFile(layout.image(lsn), "utf8")) as {
    files: { path: string; chunks: string[] }[];
  };
  const chunkOf = (path: string): string => {
    const id = image.files.find((file) => file.path === path)?.chunks[0] ?? "";
    return join("chunks", id.slice(0, 2), id);
  };
  files = {
    store: "store.json",
    tenant: join("tenants", TENANT, "tenant.json"),
    timeline: below(layout.timelineFile),
    image: below(layout.image(lsn)),
    segment: below(layout.segment(1n)),
    chunk: chunkOf("base/1/1259"),
    control: chunkOf("global/pg_control"),
  };
  await store.stop();
});
afterAll(async () => {
  await directory[Symbol.asyncDispose]();
});

type Damage = (path: string) => Promise<void>;

const flipped =
  (at: (bytes: Buffer) => number): Damage =>
  async (path) => {
    const bytes = await readFile(path);
    const place = at(bytes);
    bytes[place] = (bytes[place] ?? 0) ^ 0x04;
    await writeFile(path, bytes);
  };
const middle = flipped(({ length }) => Math.floor(length / 2));
const halved: Damage = async (path) => await truncate(path, Math.floor((await readFile(path)).length / 2));
const emptied: Damage = (path) => truncate(path, 0);
const removed: Damage = (path) => rm(path);

/** A copy of the store with one file damaged, and that file. */
async function damagedCopy(
  file: keyof typeof files,
  damage: Damage,
): Promise<TemporaryDirectory & { file: string; dir: string }> {
  const copy = await temporaryDirectory();
  const dir = join(copy.path, "store");
  await cp(intact, dir, { recursive: true });
  const path = join(dir, files[file]);
  await damage(path);
  return { ...copy, file: path, dir };
}

const damages: [string, Damage][] = [
  ["a flipped bit", middle],
  ["half of it gone", halved],
  ["nothing in it", emptied],
  ["the file gone", removed],
];

describe.each(["store", "tenant", "timeline"] as const)("%s.json", (file) => {
  test.each(damages)("with %s: the store does not start and says which file", async (_what, damage) => {
    await using copy = await damagedCopy(file, damage);
    // A start that fails gives the directory back.
    for (const _attempt of [1, 2])
      await expect(RunningStore.start({ dir: copy.dir })).rejects.toEqual(
        expect.objectContaining({
          code: "damaged_file",
          exitCode: 4,
          message: expect.stringContaining(`${copy.file} is damaged: `),
        }),
      );
  });
});

describe.each(["image", "chunk", "control", "segment"] as const)("%s", (file) => {
  const cases: [string, Damage][] =
    file === "segment"
      ? [
          ["a flipped bit in the last record", flipped(() => segmentOffset(lsn) - 40)],
          ["a flipped bit in the first page's header", flipped(() => 26)],
          ["half of it gone", halved],
          ["the file gone", removed],
        ]
      : damages;
  test.each(cases)("with %s: a backup fails and says which file, with and without gzip", async (_what, damage) => {
    await using copy = await damagedCopy(file, damage);
    await using store = await RunningStore.start({ dir: copy.dir });
    await using client = await store.connect("pageserver");
    for (const flag of ["", " --gzip"]) {
      const { error, types } = await client.query(`basebackup ${TENANT} ${TIMELINE}${flag}`);
      expect(error?.message).toContain(`${copy.file} is damaged: `);
      expect(types).not.toContain("copyDone");
      expect(types.at(-1)).toBe("readyForQuery");
      // Chunks are read as they are sent, everything else before.
      expect(types.includes("copyOutResponse")).toBe(file === "chunk" || file === "control");
    }
  });
});

test("a newer format is refused and left alone", async () => {
  const newer = encodeRecord({ format: 99, anything: true });
  await using copy = await damagedCopy("store", (path) => writeFile(path, newer));
  await expect(RunningStore.start({ dir: copy.dir })).rejects.toEqual(
    expect.objectContaining({ code: "newer_format", exitCode: 4, message: expect.stringContaining(copy.file) }),
  );
  expect(await readFile(copy.file, "utf8")).toBe(newer);
});

test("files of another timeline in its place are noticed", async () => {
  await using copy = await damagedCopy("timeline", async (path) => {
    await cp(join(path, ".."), join(path, "..", "..", OTHER), { recursive: true });
  });
  await expect(RunningStore.start({ dir: copy.dir })).rejects.toThrow(
    /timeline\.json is damaged: it belongs to another/,
  );
});

test("what a crash left unfinished is removed at the next start", async () => {
  await using copy = await damagedCopy("timeline", async () => undefined);
  const tenant = join(copy.dir, "tenants", TENANT);
  for (const path of [
    join(tenant, `.${OTHER}.12345678.new`),
    join(tenant, `.${OTHER}.12345678.deleted`),
    join(copy.dir, "tenants", OTHER),
  ])
    await mkdir(path);
  await writeFile(join(copy.dir, "tmp", "half"), "x");
  await using store = await RunningStore.start({ dir: copy.dir });
  expect((await store.query(`basebackup ${TENANT} ${TIMELINE}`)).tag).toBe("SELECT 1");
  await expect(readFile(join(copy.dir, "tmp", "half"))).rejects.toThrow("ENOENT");
  expect((await store.http("GET", "/v1/tenant")).body).toHaveLength(1);
  // A tenant directory without its file is no obstacle to making that tenant.
  await store.attachTenant(OTHER);
  expect((await store.http("GET", `/v1/tenant/${OTHER}`)).status).toBe(200);
});

test("a template that was damaged names its file", async () => {
  const templateDir = join(directory.path, "templates");
  {
    await using store = await RunningStore.start({ templateDir });
    await store.createTimeline(17);
  }
  const { readdir } = await import("node:fs/promises");
  const [name = ""] = await readdir(templateDir);
  const path = join(templateDir, name, "template.json");
  await middle(path);
  await using store = await RunningStore.start({ templateDir });
  await store.attachTenant();
  const answer = await store.http("POST", `/v1/tenant/${TENANT}/timeline`, {
    new_timeline_id: TIMELINE,
    pg_version: 17,
  });
  expect(answer).toMatchObject({ status: 500, body: { msg: expect.stringContaining(`${path} is damaged: `) } });
});
