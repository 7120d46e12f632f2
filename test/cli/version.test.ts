import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import { afterEach, expect, test, vi } from "vitest";
import { parseComputeCtlArguments } from "../../src/cli/compute_ctl_arguments.ts";
import { parseNeonLocalArguments } from "../../src/cli/neon_local_arguments.ts";
import { parseNeonStoreArguments } from "../../src/cli/neon_store_arguments.ts";

const { version }: { version: string } = JSON.parse(readFileSync("package.json", "utf8"));

afterEach(() => {
  vi.unstubAllEnvs();
});

const PROGRAMS = [
  ["compute_ctl", parseComputeCtlArguments],
  ["neon-store", parseNeonStoreArguments],
  ["neon-local", parseNeonLocalArguments],
] as const;

test.each(PROGRAMS)("%s --version prints name, version and build tag, whatever else is missing", (name, parse) => {
  vi.stubEnv("BUILD_TAG", "release-7342");
  for (const flag of ["--version", "-V"]) {
    let printed = "";
    const command = parse([flag], { out: (text) => (printed += text), err: (text) => (printed += text) });
    expect(command).toEqual({ kind: "exit", code: 0 });
    expect(printed).toBe(`${name} ${version} (release-7342)\n`);
  }
});

test.each([
  ["compute_ctl", "src/compute_ctl.ts"],
  ["neon-store", "src/neon_store.ts"],
  ["neon-local", "src/neon_local.ts"],
])("%s knows its version when it runs from sources, built with no tag", async (name, file) => {
  const { BUILD_TAG: _, ...env } = process.env;
  const { stdout } = await promisify(execFile)(process.execPath, [file, "--version"], { env });
  expect(stdout).toBe(`${name} ${version} (latest)\n`);
});
