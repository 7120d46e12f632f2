import { access } from "node:fs/promises";
import { join } from "node:path";
import { CodedError, errorCode } from "../errors/coded_error.ts";
import type { Logger } from "../telemetry/log.ts";
import { describeOutcome, type RunProgram } from "./run_program.ts";

export interface VmTools {
  readonly run: RunProgram;
  readonly log: Logger;
  /** `/usr/bin/sudo` unless told. */
  readonly sudo?: string;
  /** Where Neon's VM image has its programs; `/neonvm/bin` unless told. */
  readonly directory?: string;
}

/** Throws `resize_swap`, `failed to resize swap` (contract: postgres-config.md 10). Waits for the tool. */
export async function resizeSwap(bytes: number, tools: VmTools): Promise<void> {
  const done = await runTool("resize-swap", ["--once", String(bytes)], tools);
  if (done instanceof CodedError) throw new CodedError("resize_swap", "failed to resize swap", { cause: done });
  if (done) tools.log.info(`resized swap to ${bytes} bytes`);
}

/** Throws `disk_quota`, `failed to set disk quota`. The tool counts in KiB, rounded down; 0 switches the quota off. */
export async function setDiskQuota(bytes: number, mountpoint: string, tools: VmTools): Promise<void> {
  const done = await runTool("set-disk-quota", [String(Math.floor(bytes / 1024)), mountpoint], tools);
  if (done instanceof CodedError) throw new CodedError("disk_quota", "failed to set disk quota", { cause: done });
  if (done) tools.log.info(`set the disk quota of ${mountpoint} to ${bytes} bytes`);
}

/** False, with a warning, when there is no such tool: this is no VM of Neon's, or the tool did its work before. */
async function runTool(name: string, argv: readonly string[], tools: VmTools): Promise<boolean | CodedError> {
  const { run, log, sudo = "/usr/bin/sudo", directory = "/neonvm/bin" } = tools;
  const tool = join(directory, name);
  // Asked first, because sudo may ask for a password before it finds out.
  if (await isMissing(tool)) {
    log.warn(`${tool} does not exist, going on without it`);
    return false;
  }
  const outcome = await run(sudo, [tool, ...argv]);
  if (outcome.code === 0) return true;
  // resize-swap deletes itself after it has succeeded, which a restarted compute may find in this very moment.
  if (await isMissing(tool)) {
    log.warn(`${tool} is gone, going on without it`);
    return false;
  }
  return new CodedError("vm_tool_failed", `${tool} ${describeOutcome(outcome)}`);
}

async function isMissing(path: string): Promise<boolean> {
  try {
    await access(path);
    return false;
  } catch (error) {
    return errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR";
  }
}
