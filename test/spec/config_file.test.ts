import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { errorChain } from "../../src/errors/coded_error.ts";
import { readConfigFile } from "../../src/spec/config_file.ts";
import { configText, minimalSpec } from "./examples.ts";

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "config-file-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function failure(name: string, content?: string): Promise<unknown> {
  const path = join(directory, name);
  if (content !== undefined) await writeFile(path, content);
  return readConfigFile(path).then(
    () => expect.unreachable(),
    (error: unknown) => error,
  );
}

test("reads a config", async () => {
  const path = join(directory, "good.json");
  await writeFile(path, configText(minimalSpec()));
  expect((await readConfigFile(path)).spec?.suspend_timeout_seconds).toBe(-1);
});

test("a missing file, bad JSON and a bad shape all name the file and end with exit code 1", async () => {
  const missing = await failure("missing.json");
  expect(missing).toMatchObject({ code: "config_file_unreadable", exitCode: 1 });
  expect(errorChain(missing)).toContain(`cannot read config file ${join(directory, "missing.json")}: ENOENT`);
  const syntax = await failure("syntax.json", '{"spec": nul}');
  expect(syntax).toMatchObject({ code: "spec_syntax", exitCode: 1 });
  expect(errorChain(syntax)).toBe(
    `invalid config file ${join(directory, "syntax.json")}: expected a value at line 1 column 10`,
  );
  const shape = await failure("shape.json", "{}");
  expect(shape).toMatchObject({ code: "spec_shape", exitCode: 1 });
  expect(errorChain(shape)).toContain("missing field `compute_ctl_config`");
});
