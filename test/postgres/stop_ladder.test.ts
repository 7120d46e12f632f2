import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { StopLadder } from "../../src/postgres/stop_ladder.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function ladder(): { ladder: StopLadder; sent: string[] } {
  const sent: string[] = [];
  return { ladder: new StopLadder((signal) => sent.push(signal)), sent };
}

test("fast, after 8 s immediate, after 5 s more kill, then nothing", () => {
  const { ladder: steps, sent } = ladder();
  steps.raise("fast");
  vi.advanceTimersByTime(7999);
  expect(sent).toEqual(["SIGINT"]);
  vi.advanceTimersByTime(1);
  expect(sent).toEqual(["SIGINT", "SIGQUIT"]);
  vi.advanceTimersByTime(5000);
  expect(sent).toEqual(["SIGINT", "SIGQUIT", "SIGKILL"]);
  expect(vi.getTimerCount()).toBe(0);
});

test("the same or a softer mode changes nothing, a harder one takes over", () => {
  const { ladder: steps, sent } = ladder();
  steps.raise("fast");
  steps.raise("fast");
  steps.raise("smart");
  expect(sent).toEqual(["SIGINT"]);
  steps.raise("immediate");
  vi.advanceTimersByTime(4999);
  expect(sent).toEqual(["SIGINT", "SIGQUIT"]);
  expect(steps.mode).toBe("immediate");
});

test("nothing is sent after the process has gone, and no timer is left", () => {
  const { ladder: steps, sent } = ladder();
  steps.raise("smart");
  steps.cancel();
  steps.raise("kill");
  vi.advanceTimersByTime(100_000);
  expect(sent).toEqual(["SIGTERM"]);
  expect(vi.getTimerCount()).toBe(0);
});
