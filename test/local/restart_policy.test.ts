import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { afterFailure, NO_FAILURES, type RestartHistory } from "../../src/local/restart_policy.ts";

const MINUTE = 60_000;

function delays(gaps: readonly { after: number; healthy?: number }[]): (number | "give_up")[] {
  let history: RestartHistory = NO_FAILURES;
  let at = 0;
  return gaps.map(({ after, healthy }) => {
    at += after;
    const next = afterFailure(history, at, healthy === undefined ? undefined : at - healthy);
    history = next.history;
    return next.decision.kind === "restart" ? next.decision.delayMs : "give_up";
  });
}

describe("restarts", () => {
  test("come after 1, 2, 4, 8 s, and not after the fifth failure within ten minutes", () => {
    expect(delays(Array.from({ length: 5 }, () => ({ after: 1000 })))).toEqual([1000, 2000, 4000, 8000, "give_up"]);
  });

  test("wait at most a minute where failures are far enough apart never to be five in ten minutes", () => {
    const rare = Array.from({ length: 10 }, () => ({ after: 4 * MINUTE, healthy: 3 * MINUTE }));
    expect(delays(rare)).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000, 60_000]);
  });

  test("begin anew after five minutes of health", () => {
    const gaps = [{ after: 0 }, { after: 1 }, { after: 1 }, { after: 6 * MINUTE, healthy: 5 * MINUTE }, { after: 1 }];
    expect(delays(gaps)).toEqual([1000, 2000, 4000, 1000, 2000]);
  });

  test("never go on through five failures in a row that fit into ten minutes", () => {
    const gap = fc.record({ after: fc.integer({ min: 0, max: 2 * MINUTE }) });
    fc.assert(
      fc.property(fc.array(gap, { minLength: 6, maxLength: 20 }), (gaps) => {
        expect(delays(gaps)).toContain("give_up");
      }),
    );
  });
});
