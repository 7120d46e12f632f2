import { readFile, stat } from "node:fs/promises";
import { errorCode } from "../errors/coded_error.ts";
import { holdsFlock } from "./flock.ts";

/** What the system tells about a process. */
interface NamedProcess {
  readonly isZombie: boolean;
  /** Name of the executable; undefined where the system does not say. */
  readonly name: string | undefined;
}

/** Looks a process up by its id; undefined when there is none. */
export type ReadProcess = (pid: number) => Promise<NamedProcess | undefined>;

export interface DaemonSearch {
  readonly pidFile: string;
  /** Name of its executable. */
  readonly name: string;
  /** It keeps a flock on its pid file, which then vouches for it as well as the name does. */
  readonly locksPidFile: boolean;
  readonly readProcess: ReadProcess;
}

/**
 * The process that a daemon's pid file names, provided that it is alive, is not ourselves and can be told to be that
 * daemon: by its name, or because it holds a flock on the file. A pid file that outlived its daemon names whatever
 * process got that number since, and nobody may signal that one.
 */
export async function findDaemon(search: DaemonSearch): Promise<number | undefined> {
  const pid = await readPidFile(search.pidFile);
  if (pid === undefined || pid === process.pid) return undefined;
  const found = await search.readProcess(pid);
  if (found === undefined || found.isZombie) return undefined;
  if (found.name === search.name) return pid;
  return search.locksPidFile && (await isLockedBy(search.pidFile, pid)) ? pid : undefined;
}

/** Sends a signal; false when the process went away meanwhile. */
export function signalProcess(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if (errorCode(error) === "ESRCH") return false;
    throw error;
  }
}

async function readPidFile(path: string): Promise<number | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR") return undefined;
    throw error;
  }
  const digits = /^\s*([0-9]{1,9})\s*$/.exec(text)?.[1];
  // 0 and 1 would be our own process group and init.
  return digits !== undefined && Number(digits) > 1 ? Number(digits) : undefined;
}

async function isLockedBy(path: string, pid: number): Promise<boolean> {
  try {
    const [locks, { ino }] = await Promise.all([readFile("/proc/locks", "utf8"), stat(path, { bigint: true })]);
    return holdsFlock(locks, pid, ino);
  } catch (error) {
    // No procfs, or the file went away: nothing that would speak for the process.
    if (errorCode(error) === "ENOENT" || errorCode(error) === "EACCES") return false;
    throw error;
  }
}
