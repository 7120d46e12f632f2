import fc from "fast-check";
import { expect, test } from "vitest";
import { DowntimeMeter } from "../../../src/node/monitor/downtime.ts";

test("an outage is measured from the last time up, and each round adds what has passed since the one before", () => {
  const meter = new DowntimeMeter(1_000);
  expect(meter.down(1_500)).toEqual({ currentMs: 500, addedMs: 500 });
  expect(meter.down(2_000)).toEqual({ currentMs: 1_000, addedMs: 500 });
  meter.up(2_500);
  expect(meter.down(2_600)).toEqual({ currentMs: 100, addedMs: 100 });
});

test("what is added up is never less than the current outage, and never negative", () => {
  const round = fc.record({ ms: fc.nat(10_000), up: fc.boolean() });
  fc.assert(
    fc.property(fc.array(round), (rounds) => {
      let now = 0;
      let inOutage = 0;
      const meter = new DowntimeMeter(now);
      for (const { ms, up } of rounds) {
        now += ms;
        if (up) {
          meter.up(now);
          inOutage = 0;
        } else {
          const { currentMs, addedMs } = meter.down(now);
          inOutage += addedMs;
          expect(addedMs).toBeGreaterThanOrEqual(0);
          expect(inOutage).toBe(currentMs);
        }
      }
    }),
  );
});
