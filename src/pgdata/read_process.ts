import { execFile } from "node:child_process";
import { readFile, stat } from "node:fs/promises";
import { basename } from "node:path";
import { promisify } from "node:util";
import { errorCode } from "../errors/coded_error.ts";

/** What the system tells about a process; undefined where it does not. */
export interface ProcessState {
  readonly isZombie: boolean;
  /** Name of the executable. */
  readonly name: string | undefined;
  /** Device and inode, which no symlink, bind mount or namespace disguises. */
  readonly workingDirectory: { readonly dev: bigint; readonly ino: bigint } | undefined;
}

/** Looks a process up by its id; undefined when there is none. */
export type ReadProcess = (pid: number) => Promise<ProcessState | undefined>;

export const readProcess: ReadProcess = async (pid) => {
  if (!exists(pid)) return undefined;
  return (
    (await readProc(pid)) ?? (await readPs(pid)) ?? { isZombie: false, name: undefined, workingDirectory: undefined }
  );
};

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === "EPERM";
  }
}

/** Linux. */
async function readProc(pid: number): Promise<ProcessState | undefined> {
  let line: string;
  try {
    line = await readFile(`/proc/${pid}/stat`, "utf8");
  } catch {
    // No procfs here, or it hides other users' processes.
    return undefined;
  }
  // "pid (name) state …"; the name may hold anything, ")" too.
  const nameEnd = line.lastIndexOf(")");
  return {
    isZombie: /^[ZX]/.test(line.slice(nameEnd + 2)),
    name: line.slice(line.indexOf("(") + 1, nameEnd),
    // Of other users' processes only root may see it.
    workingDirectory: await stat(`/proc/${pid}/cwd`, { bigint: true }).catch(() => undefined),
  };
}

/** macOS and others. */
async function readPs(pid: number): Promise<ProcessState | undefined> {
  try {
    const { stdout } = await promisify(execFile)("ps", ["-p", String(pid), "-o", "stat=", "-o", "comm="]);
    const match = /^\s*(\S+)\s+(.+?)\s*$/.exec(stdout);
    if (!match?.[1] || !match[2]) return undefined;
    return { isZombie: match[1].startsWith("Z"), name: basename(match[2]), workingDirectory: undefined };
  } catch {
    // `ps` is missing, or the process went away meanwhile.
    return undefined;
  }
}
