import { stat } from "node:fs/promises";
import type { ReadProcess } from "./read_process.ts";

/** What a postmaster says about itself in `postmaster.pid`; null for lines that it has not written yet. */
export interface PostmasterPid {
  readonly pid: number;
  readonly dataDirectory: string | null;
  /** Seconds since 1970. */
  readonly startTime: number | null;
  readonly port: number | null;
  /** Empty when it listens on no Unix socket. */
  readonly socketDirectory: string | null;
  /** The first TCP address; empty when it listens on none. */
  readonly listenAddress: string | null;
  /** `starting`, `stopping`, `ready` or `standby`, without the blanks that pad it. */
  readonly status: string | null;
}

/** Reads the file's text, also while Postgres is still writing it; undefined when it begins with no process id. */
export function parsePostmasterPid(text: string): PostmasterPid | undefined {
  const lines = text
    .trimEnd()
    .split("\n")
    .map((line) => line.trim());
  const pid = number(lines[0]);
  if (pid === null || pid === 0) return undefined;
  return {
    // A single-user backend writes its id negated.
    pid: Math.abs(pid),
    dataDirectory: lines[1] || null,
    startTime: number(lines[2]),
    port: number(lines[3]),
    socketDirectory: lines[4] ?? null,
    listenAddress: lines[5] ?? null,
    status: lines[7] || null,
  };
}

/**
 * Whether the server that a `postmaster.pid` speaks of is alive: a running process (no zombie) with the name of a server
 * whose working directory is `dataDirectory`. What the system does not tell counts as a match, because the answer
 * decides whether a directory may be wiped.
 */
export async function isLivePostmaster(
  file: PostmasterPid,
  dataDirectory: string,
  readProcess: ReadProcess,
): Promise<boolean> {
  const found = await readProcess(file.pid);
  if (found === undefined || found.isZombie) return false;
  if (found.name !== undefined && !/^(?:postgres|postmaster)/.test(found.name)) return false;
  if (found.workingDirectory === undefined) return true;
  const { dev, ino } = await stat(dataDirectory, { bigint: true });
  return found.workingDirectory.dev === dev && found.workingDirectory.ino === ino;
}

function number(text: string | undefined): number | null {
  return text !== undefined && /^-?[0-9]+$/.test(text) ? Number(text) : null;
}
