import { CodedError } from "../errors/coded_error.ts";
import { describeOutcome, type RunProgram } from "./run_program.ts";
import { realWait, type Wait } from "./wait.ts";

export interface RsyslogdRestart {
  readonly run: RunProgram;
  readonly signal: AbortSignal;
  readonly wait?: Wait;
  /** How long the machine's init may take to start it again; 5 s unless told. */
  readonly timeoutMs?: number;
}

const FIRST_WAIT_MS = 2;

/**
 * Ends rsyslogd, which has no way to read its configuration again, and waits until the machine's init has started another
 * one (contract: postgres-config.md 9.1). One that is still ending does not count.
 *
 * @throws CodedError `rsyslogd_restart`
 */
export async function restartRsyslogd(restart: RsyslogdRestart): Promise<void> {
  const { run, signal, wait = realWait, timeoutMs = 5_000 } = restart;
  const before = await findRsyslogd(run);
  const killed = await run("pkill", ["rsyslogd"]);
  // 1: there was none.
  if (killed.code !== 0 && killed.code !== 1)
    throw new CodedError("rsyslogd_restart", `cannot restart rsyslogd: pkill ${describeOutcome(killed)}`);
  let waited = 0;
  for (let next = FIRST_WAIT_MS; ; next *= 2) {
    signal.throwIfAborted();
    const now = await findRsyslogd(run);
    if ([...now].some((pid) => !before.has(pid))) return;
    if (waited >= timeoutMs) break;
    const pause = Math.min(next, timeoutMs - waited);
    await wait(pause, signal);
    waited += pause;
  }
  throw new CodedError("rsyslogd_restart", `rsyslogd did not come back within ${timeoutMs / 1000} s`);
}

async function findRsyslogd(run: RunProgram): Promise<ReadonlySet<string>> {
  const found = await run("pgrep", ["rsyslogd"]);
  if (found.code !== 0 && found.code !== 1)
    throw new CodedError("rsyslogd_restart", `cannot look for rsyslogd: pgrep ${describeOutcome(found)}`);
  return new Set(found.stdout.split("\n").filter((line) => line !== ""));
}
