import { expect, test } from "vitest";
import { LsnWaiters } from "../../src/store/lsn_waiters.ts";

const never = new AbortController().signal;

test("each waiter goes when its LSN is reached", async () => {
  const waiters = new LsnWaiters();
  const reached: string[] = [];
  const wait = async (lsn: bigint): Promise<void> => {
    reached.push(`${lsn} ${await waiters.wait(lsn, 60_000, never)}`);
  };
  const all = [wait(10n), wait(20n)];
  waiters.reached(9n);
  waiters.reached(15n);
  await all[0];
  expect(reached).toEqual(["10 true"]);
  waiters.reached(20n);
  await all[1];
  expect(reached).toEqual(["10 true", "20 true"]);
});

test("false after the time, the signal's reason when it aborts", async () => {
  const waiters = new LsnWaiters();
  expect(await waiters.wait(1n, 1, never)).toBe(false);
  const abort = new AbortController();
  const waiting = waiters.wait(1n, 60_000, abort.signal);
  abort.abort(new Error("gone"));
  await expect(waiting).rejects.toThrow("gone");
  await expect(waiters.wait(1n, 60_000, abort.signal)).rejects.toThrow("gone");
});
