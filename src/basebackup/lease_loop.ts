import { errorChain } from "../errors/coded_error.ts";

const ERROR_WAIT_MS = 500;
const ERROR_WAIT_FACTOR = 1.5;
const ERROR_WAIT_MAX_MS = 60_000;
const RENEW_BEFORE_MS = 60_000;
const LONGEST_WAIT_MS = 24 * 60 * 60 * 1000;
/** A pageserver answers NULL for a passing trouble too: so many in a row make it permanent. */
const REFUSALS = 5;

/** Tells when the spec names other pageservers. Numbers make sure that no change between two waits is missed. */
export interface AddressChanges {
  /** Grows with every change. */
  version(): number;
  /** Resolves once `version()` is above `seen`, rejects when the signal is aborted. */
  changedSince(seen: number, signal: AbortSignal): Promise<void>;
}

export interface LeaseLoopOptions {
  /** One round over all pageservers of the current spec: the earliest end, null when refused. */
  readonly request: () => Promise<Date | null>;
  readonly addresses: AddressChanges;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Resolves after so many milliseconds, rejects on abort. */
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  readonly info: (text: string) => void;
  readonly warn: (text: string) => void;
  /** What came out of a round, for metrics. */
  readonly outcome?: (outcome: "granted" | "refused" | "failed") => void;
  readonly signal: AbortSignal;
}

/**
 * Keeps the lease of a static compute until the signal is aborted; then it resolves (contract: lifecycle.md 9).
 * Failures are retried for ever; an LSN that was refused several times in a row is asked for again only when the
 * pageservers' addresses change.
 */
export async function runLeaseLoop(options: LeaseLoopOptions): Promise<void> {
  const { addresses, signal } = options;
  let failures = 0;
  let refusals = 0;
  while (!signal.aborted) {
    const version = addresses.version();
    let wait: number | undefined;
    try {
      const until = await options.request();
      failures = 0;
      if (until) {
        refusals = 0;
        options.outcome?.("granted");
        wait = leaseWait(until.getTime() - options.now());
        options.info(`Request succeeded, sleeping for ${Math.floor(wait / 1000)} seconds`);
      } else {
        options.outcome?.("refused");
        refusals++;
        if (refusals < REFUSALS) wait = errorWait(refusals - 1);
        else
          options.warn("Exited with error: Permanent error: lease could not be obtained, LSN is behind the GC cutoff");
      }
    } catch (error) {
      if (signal.aborted) return;
      options.outcome?.("failed");
      options.warn(`Failed to acquire lsn lease: ${errorChain(error)} (attempt ${failures})`);
      wait = errorWait(failures++);
    }
    if ((await waitFor(wait, version, options)) === "changed") {
      failures = 0;
      refusals = 0;
      if (!signal.aborted) options.info("Pageserver config changed");
    }
  }
}

/**
 * Milliseconds until the next request: a minute before the end, but at least half of the time that is left. A server with
 * a wrong clock must not make us ask without pause, nor the wait overflow a timer.
 */
export function leaseWait(validMs: number): number {
  return Math.min(Math.max(validMs - RENEW_BEFORE_MS, validMs / 2, ERROR_WAIT_MS), LONGEST_WAIT_MS);
}

function errorWait(failures: number): number {
  return Math.min(Math.round(ERROR_WAIT_MS * ERROR_WAIT_FACTOR ** failures), ERROR_WAIT_MAX_MS);
}

/** Undefined: for as long as it takes. Also returns when the signal is aborted. */
async function waitFor(
  milliseconds: number | undefined,
  version: number,
  { addresses, sleep, signal }: LeaseLoopOptions,
): Promise<"elapsed" | "changed"> {
  const over = new AbortController();
  const either = AbortSignal.any([signal, over.signal]);
  const waits: Promise<"elapsed" | "changed">[] = [addresses.changedSince(version, either).then(() => "changed")];
  if (milliseconds !== undefined) waits.push(sleep(milliseconds, either).then(() => "elapsed"));
  try {
    return await Promise.race(waits);
  } catch (error) {
    if (signal.aborted) return "elapsed";
    throw error;
  } finally {
    over.abort();
    // The loser rejects with the abort.
    await Promise.allSettled(waits);
  }
}
