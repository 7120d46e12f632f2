import { readdir, readFile, realpath, rm } from "node:fs/promises";
import { resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import * as z from "zod/mini";
import { replaceFile } from "../disk/atomic_file.ts";
import { CodedError, errorCode } from "../errors/coded_error.ts";
import { readPostmasterPid } from "./postmaster_pid.ts";
import { isRunning, type ProcessIdentity, readProcess, workingDirectory } from "./process_identity.ts";

const identity = z.object({ pid: z.int().check(z.positive()), startTime: z.string() });
const record = z.object({ postmaster: identity, starter: identity });
type PostmasterRecord = z.infer<typeof record>;

/** Beside PGDATA, not in it: the next start wipes PGDATA. */
export function postmasterRecordPath(pgdata: string): string {
  return `${resolve(pgdata)}.postmaster.json`;
}

/**
 * Writes down which process runs on this data directory and who started it (contract: lifecycle.md 16.3). Call it right
 * after the start; {@link removePostmasterRecord} when the server is gone. Rejects when the directory above PGDATA cannot be
 * written, which should not end anything: `postmaster.pid` is the second source.
 */
export async function writePostmasterRecord(pgdata: string, pid: number): Promise<void> {
  const [postmaster, starter] = await Promise.all([readProcess(pid), readProcess(process.pid)]);
  // It has already exited: nothing can be left over.
  if (postmaster === undefined || starter === undefined) return;
  await replaceFile(postmasterRecordPath(pgdata), `${JSON.stringify(record.parse({ postmaster, starter }))}\n`, {
    durable: false,
  });
}

export async function removePostmasterRecord(pgdata: string): Promise<void> {
  await rm(postmasterRecordPath(pgdata), { force: true });
}

export interface StopLeftoverOptions {
  /** How long SIGQUIT has before SIGKILL; 5 s unless told. */
  readonly quitMs?: number;
  readonly log?: (message: string) => void;
}

/**
 * Stops a server that outlived whoever started it on this data directory: SIGQUIT, 5 s, SIGKILL; then what is left of its
 * backends. Only a process that matches is touched: the recorded pid with its start time, or the pid in `postmaster.pid`
 * when that process is a `postgres` working in this directory. Returns its pid, undefined when there was none.
 *
 * @throws CodedError `pgdata_in_use` when the starter of the recorded server lives: that server is nobody's leftover.
 */
export async function stopLeftover(pgdata: string, options: StopLeftoverOptions = {}): Promise<number | undefined> {
  const recorded = await readRecord(pgdata);
  const lock = readPostmasterPid(pgdata);
  if (recorded === undefined && lock === undefined) return undefined;
  const directory = await realpath(pgdata).catch(() => resolve(pgdata));
  const leftover = await findLeftover(pgdata, directory, recorded, lock?.pid);
  const quitMs = options.quitMs ?? 5000;
  if (leftover !== undefined) {
    options.log?.(`stopping the Postgres with pid ${leftover.pid} that an earlier start left running on ${pgdata}`);
    await end(leftover, quitMs);
  }
  const orphans = await serversWorkingIn(directory);
  await Promise.all(orphans.map((orphan) => end(orphan, quitMs)));
  await removePostmasterRecord(pgdata);
  return leftover?.pid;
}

async function findLeftover(
  pgdata: string,
  directory: string,
  recorded: PostmasterRecord | undefined,
  locked: number | undefined,
): Promise<ProcessIdentity | undefined> {
  if (recorded !== undefined && (await isRunning(recorded.postmaster))) {
    const { postmaster, starter } = recorded;
    if (starter.pid !== process.pid && (await isRunning(starter))) {
      throw new CodedError(
        "pgdata_in_use",
        `${pgdata} is in use: process ${starter.pid} runs a Postgres with pid ${postmaster.pid} on it`,
      );
    }
    return postmaster;
  }
  return locked === undefined ? undefined : await serverWorkingIn(locked, directory);
}

/** SIGQUIT, then SIGKILL. Somebody else's child cannot be waited for, so it is looked at until it is gone. */
async function end(target: ProcessIdentity, quitMs: number): Promise<void> {
  for (const [signal, limit] of [
    ["SIGQUIT", quitMs],
    ["SIGKILL", 5000],
  ] as const) {
    if (!(await isRunning(target))) return;
    try {
      process.kill(target.pid, signal);
    } catch (error) {
      if (errorCode(error) === "ESRCH") return;
      throw cannotStop(target.pid, error);
    }
    for (let waited = 0; waited < limit; waited += 10) {
      if (!(await isRunning(target))) return;
      await delay(10);
    }
  }
  throw cannotStop(target.pid, undefined);
}

/** Backends outlive a killed postmaster for a moment and would write into a directory that is being replaced. */
async function serversWorkingIn(directory: string): Promise<ProcessIdentity[]> {
  const names = await readdir("/proc").catch(() => []);
  const pids = names.filter((name) => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(pids.map((pid) => serverWorkingIn(pid, directory)));
  return found.filter((process) => process !== undefined);
}

async function serverWorkingIn(pid: number, directory: string): Promise<ProcessIdentity | undefined> {
  const where = await workingDirectory(pid);
  if (where !== directory && where !== `${directory} (deleted)`) return undefined;
  const found = await readProcess(pid);
  return found?.name.startsWith("postgres") && !found.zombie ? found : undefined;
}

async function readRecord(pgdata: string): Promise<PostmasterRecord | undefined> {
  try {
    // Ours is written atomically; whatever else lies there says nothing about a process.
    return record.safeParse(JSON.parse(await readFile(postmasterRecordPath(pgdata), "utf8"))).data;
  } catch (error) {
    if (errorCode(error) === "ENOENT" || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function cannotStop(pid: number, cause: unknown): CodedError {
  return new CodedError(
    "leftover_postgres",
    `cannot stop the Postgres with pid ${pid} that an earlier start left running`,
    {
      cause,
    },
  );
}
