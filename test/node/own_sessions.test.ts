import { expect, test } from "vitest";
import { OwnSessions } from "../../src/node/own_sessions.ts";
import type { Session } from "../../src/reconcile/session.ts";

const session: Session = {
  processId: 1,
  query: () => Promise.resolve([]),
  script: () => Promise.resolve([]),
  pipeline: () => Promise.resolve([]),
  end: () => Promise.resolve(),
};

test("sessions of ours disturb the statistics while they last and for a moment after", async () => {
  let now = 0;
  const own = new OwnSessions(() => now);
  const connect = own.wrap(() => Promise.resolve(session));
  expect(own.disturbing).toBe(false);
  const first = await connect("db", "compute_ctl:test");
  now = 60_000;
  expect(own.disturbing).toBe(true);
  await first.end();
  await first.end();
  expect(own.disturbing).toBe(true);
  now += 2_000;
  expect(own.disturbing).toBe(false);
});

test("those in databases that the statistics leave out do not", async () => {
  const own = new OwnSessions(() => 0);
  await own.wrap(() => Promise.resolve(session))("postgres", "compute_ctl:test");
  expect(own.disturbing).toBe(false);
});

test("one that could not be opened is over", async () => {
  let now = 0;
  const own = new OwnSessions(() => now);
  await expect(own.wrap(() => Promise.reject(new Error("refused")))("db", "compute_ctl:test")).rejects.toThrow();
  now = 10_000;
  expect(own.disturbing).toBe(false);
});
