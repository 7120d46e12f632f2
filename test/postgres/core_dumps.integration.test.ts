import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { findCoreDumps, reportCoreDumps } from "../../src/postgres/core_dumps.ts";
import { installation } from "../support/postgres.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";

async function reported(directory: string, env: NodeJS.ProcessEnv, timeoutMs?: number) {
  const warnings: string[] = [];
  const errors: string[] = [];
  await reportCoreDumps({
    directory,
    postgres: installation().postgres,
    env,
    warn: (line) => warnings.push(line),
    error: (line) => errors.push(line),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
  return { warnings, errors };
}

test("lifecycle.md case 60: without gdb and lldb a core is named, kept beside PGDATA, and nothing is delayed", async () => {
  await using directory = await temporaryDirectory();
  const pgdata = join(directory.path, "pgdata");
  await mkdir(join(pgdata, "core.d"), { recursive: true });
  await writeFile(join(pgdata, "core.42"), "a core");
  await writeFile(join(pgdata, "score"), "");
  expect(await findCoreDumps(pgdata)).toEqual([join(pgdata, "core.42")]);
  const { warnings, errors } = await reported(pgdata, { PATH: "/nowhere" });
  expect(errors).toEqual([]);
  expect(warnings).toEqual([
    `core dump found: ${pgdata}/core.42, collecting backtrace`,
    "core dump backtrace: ",
    "debugger stderr: neither gdb nor lldb is installed",
    `core dump moved to ${pgdata}.core`,
  ]);
  expect(await readFile(`${pgdata}.core`, "utf8")).toBe("a core");
  expect(await findCoreDumps(pgdata)).toEqual([]);
});

test("the debugger gets program and core, lldb where gdb is missing, and not for ever", async () => {
  await using directory = await temporaryDirectory();
  const pgdata = join(directory.path, "pgdata");
  await mkdir(pgdata);
  const env = { PATH: `${directory.path}:/bin:/usr/bin` };
  await writeFile(join(pgdata, "core"), "");
  await writeFile(join(directory.path, "gdb"), '#!/bin/sh\necho "bt $*"; echo odd >&2\n', { mode: 0o755 });
  const { warnings } = await reported(pgdata, env);
  expect(warnings[1]).toBe(`core dump backtrace: bt --batch -q -ex bt ${installation().postgres} ${pgdata}/core\n`);
  expect(warnings[2]).toBe("debugger stderr: odd\n");
  await writeFile(join(pgdata, "core"), "");
  await writeFile(join(directory.path, "gdb"), "#!/bin/sh\nexec sleep 1000\n", { mode: 0o755 });
  const slow = await reported(pgdata, env, 50);
  expect(slow.warnings[2]).toBe("debugger stderr: gdb took too long");
});

test("a directory that is gone has no cores; one that is no directory is an error line, not an exception", async () => {
  await using directory = await temporaryDirectory();
  expect(await reported(join(directory.path, "gone"), {})).toEqual({ warnings: [], errors: [] });
  await writeFile(join(directory.path, "file"), "");
  const { errors } = await reported(join(directory.path, "file"), {});
  expect(errors).toEqual([expect.stringMatching(/^error while checking for core dumps: ENOTDIR/)]);
});
