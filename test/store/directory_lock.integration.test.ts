import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { lockDirectory } from "../../src/store/directory_lock.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";

const inUse = expect.objectContaining({
  code: "directory_in_use",
  exitCode: 4,
  message: "here is in use by another process",
});

test("one holder at a time", async () => {
  await using directory = await temporaryDirectory();
  const lock = await lockDirectory(directory.path, "here");
  await expect(lockDirectory(directory.path, "here")).rejects.toEqual(inUse);
  await lock.release();
  await lock.release();
  expect(await readdir(directory.path)).toEqual([]);
  await (await lockDirectory(directory.path, "here")).release();
});

test("of many that start together exactly one gets it, leftovers or not", async () => {
  await using directory = await temporaryDirectory();
  for (let round = 0; round < 20; round++) {
    const results = await Promise.allSettled(Array.from({ length: 6 }, () => lockDirectory(directory.path, "here")));
    const held = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    expect(held).toHaveLength(1);
    for (const result of results) if (result.status === "rejected") expect(result.reason).toEqual(inUse);
    await held[0]?.release();
  }
});

test("a killed process holds nothing", async () => {
  await using directory = await temporaryDirectory();
  const source = `import { lockDirectory } from ${JSON.stringify(join(import.meta.dirname, "../../src/store/directory_lock.ts"))};
    await lockDirectory(${JSON.stringify(directory.path)}, "here"); console.log("held"); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", source], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  await expect(lockDirectory(directory.path, "here")).rejects.toEqual(inUse);
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(await readdir(directory.path)).toHaveLength(1);
  const lock = await lockDirectory(directory.path, "here");
  expect(await readdir(directory.path)).toHaveLength(1);
  await lock.release();
});

test("a directory whose name is longer than a socket's may be", async () => {
  await using directory = await temporaryDirectory();
  const deep = join(directory.path, "d".repeat(120));
  await mkdir(deep);
  const lock = await lockDirectory(deep, "here");
  expect(await readdir(deep)).toHaveLength(1);
  await expect(lockDirectory(deep, "here")).rejects.toEqual(inUse);
  await lock.release();
  expect(await readdir(deep)).toEqual([]);
});
