import { readFile, readlink } from "node:fs/promises";
import { runProgram } from "./run_program.ts";

/** A process as far as it must be told apart from a later one with the same number. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Differs between any two processes that ever had this pid; compare, never interpret. */
  readonly startTime: string;
}

export interface RunningProcess extends ProcessIdentity {
  /** The program's name, cut to 15 bytes on Linux. */
  readonly name: string;
  /** Dead, but its parent has not asked yet. Its pid still answers to signal 0. */
  readonly zombie: boolean;
}

/** The process with this number; undefined when there is none. */
export async function readProcess(pid: number): Promise<RunningProcess | undefined> {
  if (process.platform !== "linux") return await askPs(pid);
  try {
    const [stat, boot] = await Promise.all([readFile(`/proc/${pid}/stat`, "latin1"), bootId()]);
    const parsed = parseProcStat(stat);
    return parsed && { pid, name: parsed.name, zombie: parsed.zombie, startTime: `${boot}:${parsed.ticks}` };
  } catch {
    // ENOENT and ESRCH: gone, before or while we read.
    return undefined;
  }
}

/** Whether that very process still does anything; a zombie does not. */
export async function isRunning(identity: ProcessIdentity): Promise<boolean> {
  const found = await readProcess(identity.pid);
  return found !== undefined && !found.zombie && found.startTime === identity.startTime;
}

/** The directory a process works in; undefined when it is gone or may not be looked at. Linux only. */
export async function workingDirectory(pid: number): Promise<string | undefined> {
  return await readlink(`/proc/${pid}/cwd`).catch(() => undefined);
}

/** Fields of `/proc/<pid>/stat`: the name may hold blanks and parentheses, so the last `)` counts. */
export function parseProcStat(text: string): { name: string; zombie: boolean; ticks: string } | undefined {
  const open = text.indexOf("(");
  const close = text.lastIndexOf(")");
  const fields = text.slice(close + 2).split(" ");
  const [state] = fields;
  const ticks = fields[19];
  if (open < 0 || close < open || state === undefined || ticks === undefined) return undefined;
  return { name: text.slice(open + 1, close), zombie: state === "Z" || state === "X", ticks };
}

/** Start times count from the boot, so they repeat after the next one. */
async function bootId(): Promise<string> {
  return (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
}

async function askPs(pid: number): Promise<RunningProcess | undefined> {
  const result = await runProgram("ps", ["-o", "stat=,lstart=,comm=", "-p", String(pid)], {
    env: { PATH: "/bin:/usr/bin", LC_ALL: "C" },
    timeoutMs: 5000,
  });
  const match = /^(\S+)\s+(\S+\s+\S+\s+\d+\s+[\d:]+\s+\d+)\s+(.*)$/.exec(result.stdout.trim());
  if (result.code !== 0 || !match) return undefined;
  const [, state = "", startTime = "", command = ""] = match;
  return { pid, startTime, name: command.slice(command.lastIndexOf("/") + 1), zombie: state.startsWith("Z") };
}
