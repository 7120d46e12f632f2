import { expect, test } from "vitest";
import { PageserverChanges } from "../../src/node/pageserver_changes.ts";

test("a change wakes who waits, and one that came before the wait is not missed", async () => {
  const changes = new PageserverChanges();
  const { signal } = new AbortController();
  const seen = changes.version();
  const waiting = changes.changedSince(seen, signal);
  changes.changed();
  await waiting;
  await changes.changedSince(seen, signal);
  expect(changes.version()).toBe(seen + 1);
});

test("an abort ends the wait", async () => {
  const changes = new PageserverChanges();
  const owner = new AbortController();
  const waiting = changes.changedSince(changes.version(), owner.signal);
  owner.abort(new Error("stop"));
  await expect(waiting).rejects.toThrow("stop");
  await expect(changes.changedSince(0, owner.signal)).rejects.toThrow("stop");
});
