import { expect, test } from "vitest";
import { orAborted } from "../../src/errors/or_aborted.ts";

const reason = new Error("stop");

test("the work's outcome counts while nothing is aborted", async () => {
  const { signal } = new AbortController();
  await expect(orAborted(Promise.resolve(7), signal)).resolves.toBe(7);
  await expect(orAborted(Promise.reject(new Error("no")), signal)).rejects.toThrow("no");
});

test("an abort before or during the work is its end, and what the work comes to then is heard by nobody", async () => {
  await expect(orAborted(Promise.reject(new Error("no")), AbortSignal.abort(reason))).rejects.toBe(reason);
  const owner = new AbortController();
  const work = Promise.withResolvers<void>();
  const waiting = orAborted(work.promise, owner.signal);
  owner.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  // Would fail the run as an unhandled rejection.
  work.reject(new Error("too late"));
  await new Promise(setImmediate);
});
