import { type FSWatcher, watch } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { CodedError } from "../errors/coded_error.ts";
import type { Postmaster } from "./postmaster.ts";
import { readPostmasterPid } from "./postmaster_pid.ts";
import type { ProcessExit } from "./process_exit.ts";

export interface ReadinessOptions {
  /** 60 s unless told (contract: lifecycle.md 10.3). */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
  /** The net below the watch: 100 ms, 50 ms where there is no watch. */
  readonly pollMs?: number;
}

type Outcome = { kind: "ready" } | { kind: "exited" } | { kind: "timeout" } | { kind: "failed"; error: unknown };

/**
 * Waits until the server accepts sessions: line 8 of its `postmaster.pid` is `ready`. Only that word counts (`standby` and
 * `starting` do not), and only in a file with this server's pid: a kept data directory may hold the file of a killed one.
 * Driven by a watch on the directory, with a slow poll for what a watch misses (contract: lifecycle.md 10.3).
 *
 * The server's last errors stand behind the text of a failure. On a time-out the server still runs: stop it.
 *
 * @throws CodedError `postgres_exited`, `postgres_start_timeout`; the reason of `signal` when that aborts.
 */
export async function waitUntilReady(postmaster: Postmaster, options: ReadinessOptions = {}): Promise<void> {
  const outcome = await firstOutcome(postmaster, options);
  switch (outcome.kind) {
    case "ready":
      return;
    case "failed":
      throw outcome.error;
    case "timeout":
      throw failure("postgres_start_timeout", "timed out while waiting for Postgres to start", postmaster);
    case "exited":
      throw await unexpectedExit(postmaster);
  }
}

/** How long the last records of a server that is gone may take to arrive. */
const LAST_RECORDS_MS = 200;

/**
 * Waits for the server's end and for the rest of its log, which may still be in the pipe; an orphaned backend that keeps that
 * open must not keep us.
 */
export async function exitedAndSaid(postmaster: Pick<Postmaster, "exited" | "logEnded">): Promise<ProcessExit> {
  const exit = await postmaster.exited;
  await Promise.race([postmaster.logEnded, delay(LAST_RECORDS_MS)]);
  return exit;
}

/** Waits for the server's end: the error of a start that it ends, with the server's last errors. */
export async function unexpectedExit(postmaster: Postmaster): Promise<CodedError> {
  const { code } = await exitedAndSaid(postmaster);
  return failure("postgres_exited", `Postgres exited unexpectedly with code ${code ?? -1}`, postmaster);
}

async function firstOutcome(postmaster: Postmaster, options: ReadinessOptions): Promise<Outcome> {
  const { signal } = options;
  const clean: (() => void)[] = [];
  try {
    return await new Promise<Outcome>((resolve) => {
      const look = (): void => {
        try {
          if (postmaster.exit === undefined && isReady(postmaster)) resolve({ kind: "ready" });
        } catch (error) {
          resolve({ kind: "failed", error });
        }
      };
      const watcher = watchDirectory(postmaster.pgdata, look);
      const poll = setInterval(look, options.pollMs ?? (watcher === undefined ? 50 : 100));
      const limit = setTimeout(() => resolve({ kind: "timeout" }), options.timeoutMs ?? 60_000);
      const abort = (): void => resolve({ kind: "failed", error: signal?.reason });
      signal?.addEventListener("abort", abort, { once: true });
      clean.push(
        () => watcher?.close(),
        () => clearInterval(poll),
        () => clearTimeout(limit),
        () => signal?.removeEventListener("abort", abort),
      );
      void postmaster.exited.then(() => resolve({ kind: "exited" }));
      if (signal?.aborted) abort();
      else look();
    });
  } finally {
    for (const step of clean) step();
  }
}

function isReady(postmaster: Postmaster): boolean {
  const file = readPostmasterPid(postmaster.pgdata);
  return file?.pid === postmaster.pid && file.status === "ready";
}

/** The directory, not the file: it does not exist yet, and some systems watch inodes. Undefined where watching fails. */
function watchDirectory(directory: string, look: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(directory, { persistent: true }, (_event, name) => {
      if (name === null || name === "postmaster.pid") look();
    });
    // Out of watches, or the directory is gone: the poll and the exit of the server go on.
    watcher.on("error", () => watcher.close());
    return watcher;
  } catch {
    return undefined;
  }
}

function failure(code: string, text: string, postmaster: Postmaster): CodedError {
  const why = postmaster.recentErrors.toString();
  return new CodedError(code, why === "" ? text : `${text}: ${why}`);
}
