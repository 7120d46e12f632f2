import { execFile } from "node:child_process";
import { chmod, chown, lstat, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { replaceOrOverwrite } from "../../src/neighbours/replace_or_overwrite.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";

test("an existing file keeps its mode, a symlink stays one, a new file is readable for all", async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, "file");
  const link = join(directory.path, "link");
  await replaceOrOverwrite(file, "old");
  expect((await stat(file)).mode & 0o777).toBe(0o644);
  await chmod(file, 0o600);
  await symlink(file, link);
  await replaceOrOverwrite(link, "new");
  expect(await readFile(file, "utf8")).toBe("new");
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect((await lstat(link)).isSymbolicLink()).toBe(true);
  expect((await readdir(directory.path)).sort()).toEqual(["file", "link"]);
});

test.runIf(process.getuid?.() === 0)(
  "a file of ours in a directory that is not ours is overwritten in place",
  async () => {
    await using directory = await temporaryDirectory();
    const nobody = 65_534;
    const file = join(directory.path, "pgbouncer.ini");
    await writeFile(file, "something longer than what comes");
    await chown(file, nobody, nobody);
    const { ino } = await stat(file);
    const module = new URL("../../src/neighbours/replace_or_overwrite.ts", import.meta.url).href;
    const program = `const { replaceOrOverwrite } = await import(${JSON.stringify(module)});
      await replaceOrOverwrite(${JSON.stringify(file)}, "short");`;
    await promisify(execFile)(process.execPath, ["--input-type=module", "-e", program], {
      uid: nobody,
      gid: nobody,
      cwd: "/",
    });
    expect(await readFile(file, "utf8")).toBe("short");
    expect((await stat(file)).ino).toBe(ino);
    expect(await readdir(directory.path)).toEqual(["pgbouncer.ini"]);
  },
);
