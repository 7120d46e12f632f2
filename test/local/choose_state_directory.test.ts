import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { chooseStateDirectory } from "../../src/local/choose_state_directory.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";

const uid = process.geteuid?.() ?? -1;
/** An ordinary user, whoever runs the tests. */
const ordinary = { env: {}, uid: uid === 0 ? 1000 : uid };
let cwd: string;

beforeEach(async () => {
  const directory = await temporaryDirectory();
  cwd = directory.path;
  onTestFinished(() => directory[Symbol.asyncDispose]());
});

describe("the state directory", () => {
  test("is --dir, then NEON_LOCAL_DIR, then NEON_REPO_DIR", async () => {
    const env = { NEON_LOCAL_DIR: "/a", NEON_REPO_DIR: "/b" };
    const choose = async (options: { dir?: string; env: NodeJS.ProcessEnv }) =>
      (await chooseStateDirectory({ ...ordinary, cwd, ...options })).path;
    expect(await choose({ dir: "here", env })).toBe(join(cwd, "here"));
    expect(await choose({ env })).toBe("/a");
    expect(await choose({ env: { NEON_REPO_DIR: "/b" } })).toBe("/b");
    await expect(choose({ env: { NEON_REPO_DIR: "b" } })).rejects.toMatchObject({ code: "usage", exitCode: 2 });
  });

  test("is the nearest one above that is ours", async () => {
    await mkdir(join(cwd, ".neon"));
    await writeFile(join(cwd, ".neon/neon-local.json"), "{}");
    const deep = join(cwd, "a/b");
    await mkdir(deep, { recursive: true });
    expect(await chooseStateDirectory({ env: {}, cwd: deep, uid })).toEqual({ path: join(cwd, ".neon"), notes: [] });
    const stranger = await chooseStateDirectory({ env: {}, cwd: deep, uid: uid + 4711 });
    expect(stranger.path).toBe(join(deep, ".neon"));
    expect(stranger.notes).toEqual([expect.stringContaining("another user")]);
  });

  test("is .neon here, for root /var/lib/neon-local", async () => {
    expect((await chooseStateDirectory({ ...ordinary, cwd })).path).toBe(join(cwd, ".neon"));
    expect((await chooseStateDirectory({ env: {}, cwd, uid: 0 })).path).toBe("/var/lib/neon-local");
  });

  test("is .neon-local where .neon is a file of Neon's cloud CLI, which stays as it is (neon-local.md case 4)", async () => {
    const text = '{"projectId":"p"}';
    await writeFile(join(cwd, ".neon"), text);
    const chosen = await chooseStateDirectory({ ...ordinary, cwd });
    expect(chosen.path).toBe(join(cwd, ".neon-local"));
    expect(chosen.notes).toHaveLength(1);
    expect(await readFile(join(cwd, ".neon"), "utf8")).toBe(text);
  });

  test("is .neon-local where .neon is a repository of neon_local", async () => {
    await mkdir(join(cwd, ".neon"));
    await writeFile(join(cwd, ".neon/config"), "");
    expect((await chooseStateDirectory({ ...ordinary, cwd })).path).toBe(join(cwd, ".neon-local"));
  });
});
