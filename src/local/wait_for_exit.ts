import { setTimeout as delay } from "node:timers/promises";
import { errorCode } from "../errors/coded_error.ts";
import { isRunning, type ProcessIdentity } from "../postgres/process_identity.ts";

const POLL_MS = 50;

/** Waits until a process that is not our child is gone: only asking again tells. False when `timeoutMs` were not enough. */
export async function waitForExit(identity: ProcessIdentity, timeoutMs: number): Promise<boolean> {
  for (const end = performance.now() + timeoutMs; ; await delay(POLL_MS)) {
    if (!(await isRunning(identity))) return true;
    if (performance.now() >= end) return false;
  }
}

/** Sends a signal; a negative number means a process group. False when nobody is there any more. */
export function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if (errorCode(error) === "ESRCH") return false;
    throw error;
  }
}
