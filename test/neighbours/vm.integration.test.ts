import { chmod, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { errorChain } from "../../src/errors/coded_error.ts";
import { resizeSwap, setDiskQuota, type VmTools } from "../../src/neighbours/vm.ts";
import { runProgram } from "../../src/postgres/run_program.ts";
import { collectingLog } from "../support/collecting_log.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";

/** Real programs in place of sudo and of a VM's tools. */
async function tools(directory: string): Promise<VmTools & { lines: string[]; sudo: string }> {
  const sudo = join(directory, "sudo");
  await script(sudo, 'exec "$@"');
  const run: VmTools["run"] = (program, argv) => runProgram(program, argv, { env: process.env });
  return { run, sudo, directory, ...collectingLog() };
}

async function script(path: string, body: string): Promise<void> {
  await writeFile(path, `#!/bin/sh\n${body}\n`);
  await chmod(path, 0o755);
}

const record = 'echo "$@" > "$0.argv"';

test("the tools get what the contract says", async () => {
  await using directory = await temporaryDirectory();
  const vm = await tools(directory.path);
  const swap = join(directory.path, "resize-swap");
  await script(swap, record);
  await resizeSwap(1_073_741_824, vm);
  expect(await readFile(`${swap}.argv`, "utf8")).toBe("--once 1073741824\n");
});

test("postgres-config.md case 37: a quota of 1500 bytes is 1 for the tool", async () => {
  await using directory = await temporaryDirectory();
  const vm = await tools(directory.path);
  const quota = join(directory.path, "set-disk-quota");
  await script(quota, record);
  await setDiskQuota(1500, "/var/db/postgres/compute", vm);
  expect(await readFile(`${quota}.argv`, "utf8")).toBe("1 /var/db/postgres/compute\n");
  await setDiskQuota(0, "/mnt", vm);
  expect(await readFile(`${quota}.argv`, "utf8")).toBe("0 /mnt\n");
});

test("postgres-config.md case 36: a tool that is not there is a warning, and nothing is run", async () => {
  await using directory = await temporaryDirectory();
  const vm = await tools(directory.path);
  await rm(vm.sudo);
  await resizeSwap(1, vm);
  await setDiskQuota(1, "/mnt", vm);
  expect(vm.lines).toEqual([
    ` WARN ${directory.path}/resize-swap does not exist, going on without it`,
    ` WARN ${directory.path}/set-disk-quota does not exist, going on without it`,
  ]);
});

test("a tool that fails ends the start, with its own words", async () => {
  await using directory = await temporaryDirectory();
  const vm = await tools(directory.path);
  for (const name of ["resize-swap", "set-disk-quota"])
    await script(join(directory.path, name), "echo no swap device >&2; exit 3");
  const why = (work: Promise<void>): Promise<string> => work.then(String, errorChain);
  expect(await why(resizeSwap(1, vm))).toBe(
    `failed to resize swap: ${directory.path}/resize-swap exited with status 3: no swap device`,
  );
  expect(await why(setDiskQuota(1, "/mnt", vm))).toBe(
    `failed to set disk quota: ${directory.path}/set-disk-quota exited with status 3: no swap device`,
  );
});

test("a tool that deleted itself has succeeded before", async () => {
  await using directory = await temporaryDirectory();
  const vm = await tools(directory.path);
  await script(join(directory.path, "resize-swap"), 'rm "$0"; exit 1');
  await resizeSwap(1, vm);
  expect(vm.lines[0]).toContain("WARN");
});
