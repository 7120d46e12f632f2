import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { judge, type Observation } from "../../../src/node/monitor/activity.ts";

const QUIET: Observation = {
  statistics: { activeTime: 12.5, sessions: 3 },
  busySessions: 0,
  idleSince: null,
  walSenders: 0,
  subscriptions: 0,
  autovacuumWorkers: 0,
};
const NOON = new Date("2026-04-02T12:00:00.123Z");
const LATER = new Date("2026-04-02T12:00:00.124Z");

test("nobody there is quiet, whatever the first round's statistics are", () => {
  expect(judge(QUIET, undefined, null)).toEqual({ kind: "quiet" });
  expect(judge(QUIET, QUIET.statistics, NOON)).toEqual({ kind: "quiet" });
});

describe("each of these is activity now", () => {
  test.each([
    ["a busy session", { busySessions: 1 }],
    ["a WAL sender", { walSenders: 1 }],
    ["a subscription", { subscriptions: 1 }],
    ["an autovacuum worker", { autovacuumWorkers: 1 }],
  ])("%s", (_name, seen) => {
    expect(judge({ ...QUIET, ...seen }, QUIET.statistics, NOON)).toEqual({ kind: "active_now" });
  });

  test.each([
    ["more sessions", { activeTime: 12.5, sessions: 2 }],
    ["fewer sessions: a database was dropped", { activeTime: 12.5, sessions: 4 }],
    ["other active time", { activeTime: 12, sessions: 3 }],
  ])("statistics that differ from the last round's: %s", (_name, base) => {
    expect(judge(QUIET, base, NOON)).toEqual({ kind: "active_now" });
  });
});

test("an idle session counts once, at its last change of state", () => {
  const seen = { ...QUIET, idleSince: LATER };
  expect(judge(seen, undefined, null)).toEqual({ kind: "active_until", at: LATER });
  expect(judge(seen, undefined, NOON)).toEqual({ kind: "active_until", at: LATER });
  expect(judge(seen, undefined, LATER)).toEqual({ kind: "quiet" });
});

test("an idle session that counts no more does not hide what comes after it", () => {
  expect(judge({ ...QUIET, idleSince: NOON, walSenders: 1 }, undefined, LATER)).toEqual({ kind: "active_now" });
});

test("nothing is ever dated back", () => {
  const date = fc.option(fc.date({ noInvalidDate: true }), { nil: null });
  fc.assert(
    fc.property(date, date, fc.nat(2), fc.nat(2), (idleSince, lastActive, busySessions, walSenders) => {
      const verdict = judge({ ...QUIET, idleSince, busySessions, walSenders }, undefined, lastActive);
      if (verdict.kind === "active_until" && lastActive !== null) expect(verdict.at > lastActive).toBe(true);
    }),
  );
});
