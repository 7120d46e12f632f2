import { chmod, mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import * as z from "zod/mini";
import { readRecord, writeRecord } from "../../src/local/record_file.ts";
import { openStateDirectory } from "../../src/local/state_directory.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";

const options = { uid: process.geteuid?.() ?? -1, now: () => Date.parse("2026-11-21T18:00:00Z") };
let parent: string;

beforeEach(async () => {
  const directory = await temporaryDirectory();
  parent = directory.path;
  onTestFinished(() => directory[Symbol.asyncDispose]());
});

const mode = async (path: string): Promise<string> => ((await stat(path)).mode & 0o777).toString(8);

describe("opening a state directory", () => {
  test("makes it, for us alone", async () => {
    const layout = await openStateDirectory(join(parent, "a/b"), options);
    expect(JSON.parse(await readFile(layout.settingsFile, "utf8"))).toEqual({
      format: 1,
      created_at: "2026-11-21T18:00:00.000Z",
      defaults: {},
    });
    expect(await mode(layout.root)).toBe("700");
    expect(await mode(layout.settingsFile)).toBe("600");
    expect(await mode(layout.pgsDir)).toBe("700");
  });

  test("lets another user pass through to its data directories, and nowhere else", async () => {
    const layout = await openStateDirectory(join(parent, "s"), {
      ...options,
      postgresUser: { uid: 65534, gid: 65534 },
    });
    for (const open of [layout.root, layout.pgsDir, layout.storagesDir]) expect(await mode(open)).toBe("711");
    for (const closed of [layout.stateDir, layout.runDir, layout.procsDir, layout.logsDir])
      expect(await mode(closed)).toBe("700");
  });

  test("tightens a directory of ours that others may read, and keeps settings that it does not know", async () => {
    const path = join(parent, "s");
    const { settingsFile } = await openStateDirectory(path, options);
    const text = JSON.stringify({ ...JSON.parse(await readFile(settingsFile, "utf8")), port: 3000, future: true });
    await writeFile(settingsFile, text);
    await chmod(path, 0o755);
    await openStateDirectory(path, options);
    expect(await mode(path)).toBe("700");
    expect(await readFile(settingsFile, "utf8")).toBe(text);
  });

  test.each([
    ["state_format", '{"format":2,"created_at":"x","defaults":{}}'],
    ["state_damaged", '{"format":1'],
    ["state_damaged", '{"format":"1"}'],
  ])("refuses with %s and exit code 4, changing nothing: %s", async (code, text) => {
    await writeFile(join(parent, "neon-local.json"), text);
    await expect(openStateDirectory(parent, options)).rejects.toMatchObject({ code, exitCode: 4 });
    expect(await readdir(parent)).toEqual(["neon-local.json"]);
    expect(await readFile(join(parent, "neon-local.json"), "utf8")).toBe(text);
  });

  test("refuses somebody else's files", async () => {
    await writeFile(join(parent, "letter.txt"), "dear");
    await expect(openStateDirectory(parent, options)).rejects.toMatchObject({
      code: "not_a_state_directory",
      exitCode: 4,
    });
    expect(await readdir(parent)).toEqual(["letter.txt"]);
    expect(await mode(parent)).toBe("755");
  });

  test("goes on where a crash left no settings yet", async () => {
    await writeFile(join(parent, ".neon-local.json.0123456789ab.tmp"), "");
    await mkdir(join(parent, "lost+found"));
    await openStateDirectory(parent, options);
  });

  test("refuses a file", async () => {
    const path = join(parent, "file");
    await writeFile(path, "");
    await expect(openStateDirectory(path, options)).rejects.toMatchObject({ exitCode: 4 });
    await expect(openStateDirectory(join(path, "below"), options)).rejects.toMatchObject({ exitCode: 4 });
  });
});

describe("records", () => {
  const schema = z.looseObject({ name: z.string() });

  test("come back as they were written, with keys that are not known yet", async () => {
    const reader = { brokenDir: parent, now: options.now, report: expect.fail };
    const path = join(parent, "x/r.json");
    expect(await readRecord(path, schema, reader)).toBeUndefined();
    await writeRecord(path, { name: "a", later: 1 });
    expect(await readRecord(path, schema, reader)).toEqual({ name: "a", later: 1 });
    expect(await mode(path)).toBe("600");
  });

  test.each(["", '{"name":', '{"name":7}', "[]"])(
    "that cannot be read are put aside and reported (the record's part of neon-local.md case 28): %s",
    async (text) => {
      const problems: string[] = [];
      const layout = await openStateDirectory(join(parent, "s"), options);
      const reader = { brokenDir: layout.brokenDir, now: () => 7, report: (problem: string) => problems.push(problem) };
      const path = layout.pgRecord("main");
      await writeRecord(path, { name: "a" });
      await writeFile(path, text);
      expect(await readRecord(path, schema, reader)).toBeUndefined();
      expect(await readdir(layout.brokenDir)).toEqual(["7-main.json"]);
      expect(await readFile(join(layout.brokenDir, "7-main.json"), "utf8")).toBe(text);
      expect(problems).toEqual([expect.stringContaining(path)]);
    },
  );
});
