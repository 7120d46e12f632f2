import { describe, expect, test } from "vitest";
import { type AddressChanges, leaseWait, runLeaseLoop } from "../../src/basebackup/lease_loop.ts";

/** Addresses that change when the test says so. */
function changeable(): AddressChanges & { change(): void } {
  let version = 0;
  let waiters: (() => void)[] = [];
  return {
    version: () => version,
    changedSince: (seen, signal) =>
      new Promise((resolve, reject) => {
        if (version > seen) resolve();
        waiters.push(resolve);
        signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
      }),
    change: () => {
      version++;
      for (const wake of waiters.splice(0)) wake();
      waiters = [];
    },
  };
}

/** Runs the loop over a script of answers; the virtual clock moves with each sleep, the end of the script aborts. */
async function run(
  answers: readonly (number | null | Error)[],
  hooks: { onSleep?: (count: number, addresses: ReturnType<typeof changeable>) => boolean; changeAtEnd?: boolean } = {},
) {
  const owner = new AbortController();
  const addresses = changeable();
  let clock = 1_000_000;
  const sleeps: number[] = [];
  const log: string[] = [];
  const outcomes: string[] = [];
  const times: number[] = [];
  let next = 0;
  await runLeaseLoop({
    request: async () => {
      times.push(clock);
      const answer = answers[next++];
      if (answer === undefined) {
        owner.abort(new Error("end of the script"));
        throw new Error("aborted");
      }
      if (answer instanceof Error) throw answer;
      return answer === null ? null : new Date(clock + answer);
    },
    addresses,
    now: () => clock,
    sleep: (milliseconds, signal) => {
      sleeps.push(milliseconds);
      if (hooks.onSleep?.(sleeps.length, addresses))
        return new Promise((_, reject) => {
          if (signal.aborted) reject(signal.reason as Error);
          signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
        });
      clock += milliseconds;
      return Promise.resolve();
    },
    info: (text) => void log.push(text),
    warn: (text) => {
      log.push(`WARN ${text}`);
      if (text.startsWith("Exited")) {
        if (hooks.changeAtEnd) setImmediate(() => addresses.change());
        else setImmediate(() => owner.abort(new Error("end")));
      }
    },
    outcome: (outcome) => void outcomes.push(outcome),
    signal: owner.signal,
  });
  return { sleeps, log, outcomes, times };
}

describe("runLeaseLoop", () => {
  test("storage-protocols.md case 13: a lease of 600 s is renewed after 540 s", async () => {
    const { sleeps, log } = await run([600_000, 600_000, 80_000]);
    expect(sleeps).toEqual([540_000, 540_000, 40_000]);
    expect(log).toEqual([
      "Request succeeded, sleeping for 540 seconds",
      "Request succeeded, sleeping for 540 seconds",
      "Request succeeded, sleeping for 40 seconds",
    ]);
  });

  test("storage-protocols.md case 13: changed addresses lead to a request at once", async () => {
    const { times, log } = await run([600_000, 600_000], {
      onSleep: (count, addresses) => {
        if (count === 1) setImmediate(() => addresses.change());
        return count === 1;
      },
    });
    expect(times[1]).toBe(times[0]);
    expect(log[1]).toBe("Pageserver config changed");
  });

  test("errors: half a second, growing, at most a minute, for ever; a success starts anew", async () => {
    const error = new Error("connect", { cause: new Error("refused") });
    const { sleeps, log } = await run([...Array.from({ length: 14 }, () => error), 600_000, error]);
    expect(sleeps.slice(0, 3)).toEqual([500, 750, 1125]);
    expect(sleeps.slice(12, 14)).toEqual([60_000, 60_000]);
    expect(sleeps.slice(14)).toEqual([540_000, 500]);
    expect(log[0]).toBe("WARN Failed to acquire lsn lease: connect: refused (attempt 0)");
    expect(log[1]).toBe("WARN Failed to acquire lsn lease: connect: refused (attempt 1)");
    expect(log.at(-1)).toBe("WARN Failed to acquire lsn lease: connect: refused (attempt 0)");
  });

  test("a refusal is permanent only when it is repeated", async () => {
    expect((await run([null, null, 600_000])).log).toEqual(["Request succeeded, sleeping for 540 seconds"]);
    const { log, sleeps, outcomes } = await run([null, null, null, null, null]);
    expect(log).toEqual([
      "WARN Exited with error: Permanent error: lease could not be obtained, LSN is behind the GC cutoff",
    ]);
    expect(sleeps).toHaveLength(4);
    expect(outcomes).toEqual(["refused", "refused", "refused", "refused", "refused"]);
  });

  test("after a permanent refusal, new addresses are asked again", async () => {
    const { log } = await run([null, null, null, null, null, 600_000], { changeAtEnd: true });
    expect(log.slice(1)).toEqual(["Pageserver config changed", "Request succeeded, sleeping for 540 seconds"]);
  });

  test("waits have bounds: no hot loop on a wrong clock, no timer overflow", () => {
    expect(leaseWait(-5000)).toBe(500);
    expect(leaseWait(10)).toBe(500);
    expect(leaseWait(100_000)).toBe(50_000);
    expect(leaseWait(Number.MAX_SAFE_INTEGER)).toBeLessThan(2 ** 31);
  });
});
