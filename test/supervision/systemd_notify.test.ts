import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { systemdNotify } from "../../src/supervision/systemd_notify.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";

async function fakeProgram(directory: string, script: string): Promise<string> {
  await writeFile(join(directory, "systemd-notify"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return `${directory}:/usr/bin:/bin`;
}

test("the program gets each assignment as a word, the socket, and nothing else of our environment", async () => {
  await using directory = await temporaryDirectory();
  const out = join(directory.path, "out");
  const path = await fakeProgram(directory.path, `{ for word; do echo "[$word]"; done; /usr/bin/env; } > ${out}`);
  await systemdNotify("/run/n", path)(["READY=1", "STATUS=$(id) 'x'; y"]);
  const lines = (await readFile(out, "utf8")).trimEnd().split("\n");
  expect(lines.slice(0, 2)).toEqual(["[READY=1]", "[STATUS=$(id) 'x'; y]"]);
  const names = lines.slice(2).map((line) => line.split("=")[0]);
  // The shell sets these itself.
  expect(names.filter((name) => !["PWD", "SHLVL", "_", "OLDPWD"].includes(name ?? "")).sort()).toEqual([
    "NOTIFY_SOCKET",
    "PATH",
  ]);
  expect(lines).toContain("NOTIFY_SOCKET=/run/n");
});

test("a program that fails, and one that is not there, are errors", async () => {
  await using directory = await temporaryDirectory();
  const path = await fakeProgram(directory.path, "echo no such socket >&2; exit 1");
  await expect(systemdNotify("/run/n", path)(["READY=1"])).rejects.toThrow("no such socket");
  await expect(systemdNotify("/run/n", "/nowhere")(["READY=1"])).rejects.toMatchObject({ code: "ENOENT" });
});
