import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { LogFile } from "../../src/local/log_file.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";

test("a log is put aside when it is large, and there are never more files than allowed", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "x.log");
  const log = new LogFile(path, { maxBytes: 10, files: 3 });
  for (const text of ["first round", "second round", "third round", "fourth round"]) {
    log.write(text);
    await log.rotateIfLarge();
  }
  expect((await readdir(directory.path)).sort()).toEqual(["x.log", "x.log.1", "x.log.2"]);
  expect(await readFile(`${path}.1`, "utf8")).toBe("fourth round");
  expect(await readFile(`${path}.2`, "utf8")).toBe("third round");
  log.write("fifth");
  await log.rotateIfLarge();
  expect(await readFile(path, "utf8")).toBe("fifth");
  log.close();
  log.write("lost");
  log.close();
  expect(await readFile(path, "utf8")).toBe("fifth");
});

test("an existing log is continued, and the tail shows what is new", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "x.log");
  await writeFile(path, "old\n");
  const log = new LogFile(path);
  const before = log.size();
  log.write("one\ntwo\nthree\n");
  expect(await log.tail(before, 2)).toEqual(["two", "three"]);
  expect(await log.tail(before, 9)).toEqual(["one", "two", "three"]);
  expect(await log.tail(log.size(), 9)).toEqual([]);
  // Shorter than where we began: it was rotated in between.
  expect(await log.tail(1_000_000, 1)).toEqual(["three"]);
  log.write(`${"x".repeat(100_000)}\nend\n`);
  expect((await log.tail(0, 1)).at(-1)).toBe("end");
  log.close();
});
