import { describe, expect, test } from "vitest";
import { highestCommonPoint, lastLogTerm, streamingStart } from "../../src/walproposer/term_history.ts";
import { COMMON_POINTS, history, PROPOSER_HISTORY } from "./common_points.ts";

describe("highest common point", () => {
  test.each(COMMON_POINTS)("$name: acceptor at $flush -> $point", ({ acceptor, flush, point }) => {
    expect(highestCommonPoint(PROPOSER_HISTORY, acceptor, flush)).toBe(point);
    expect(streamingStart(PROPOSER_HISTORY, acceptor, flush)).toBe(point ?? 100n);
  });

  test("entries above flush_lsn do not count", () => {
    expect(highestCommonPoint(PROPOSER_HISTORY, history([1, 100], [3, 500], [6, 900]), 500n)).toBe(500n);
    expect(highestCommonPoint(PROPOSER_HISTORY, history([1, 100], [2, 400]), 300n)).toBe(300n);
  });

  test("one term that begins at two places is corruption", () => {
    expect(() => highestCommonPoint(PROPOSER_HISTORY, history([1, 100], [3, 600]), 700n)).toThrow(
      expect.objectContaining({ code: "term_history_corrupt" }),
    );
  });
});

test("the last log term counts a term whose start was just reached", () => {
  expect(lastLogTerm([], 500n)).toBe(0n);
  expect(lastLogTerm(PROPOSER_HISTORY, 499n)).toBe(1n);
  expect(lastLogTerm(PROPOSER_HISTORY, 500n)).toBe(3n);
  expect(lastLogTerm(PROPOSER_HISTORY, 99n)).toBe(0n);
});
