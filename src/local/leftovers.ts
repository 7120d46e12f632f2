import { isRunning } from "../postgres/process_identity.ts";
import { type ProcessRecord, readProcessRecords, removeProcessRecord } from "./process_record.ts";
import { sendSignal, waitForExit } from "./wait_for_exit.ts";

export interface ReapOptions {
  readonly procsDir: string;
  /** Milliseconds that a leftover may take to stop by itself; it is at it since its service died. */
  readonly termMs: number;
  readonly report: (line: string) => void;
}

/**
 * Ends the processes that a service before us started and could not stop, and forgets their records. A process is touched
 * only when number and start time are those of the record (contract: neon-local.md A3, A15).
 */
export async function reapLeftovers(options: ReapOptions): Promise<void> {
  const records = await readProcessRecords(options.procsDir);
  await Promise.all(
    [...records].map(async ([name, record]) => {
      if (record !== null) await reap(name, record, options);
      await removeProcessRecord(options.procsDir, name);
    }),
  );
}

async function reap(name: string, record: ProcessRecord, options: ReapOptions): Promise<void> {
  const identity = { pid: record.pid, startTime: record.start_time };
  if (!(await isRunning(identity))) return;
  options.report(`ending ${name} (pid ${record.pid}), which an earlier run left behind`);
  sendSignal(record.pid, "SIGTERM");
  if (await waitForExit(identity, options.termMs)) return;
  // Every child of ours leads a process group of its own.
  sendSignal(-record.pid, "SIGKILL");
  await waitForExit(identity, 5000);
}
