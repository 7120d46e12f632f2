import { expect, test } from "vitest";
import { forEachAtMost, reconfigureConcurrency, startConcurrency } from "../../src/reconcile/concurrency.ts";

const spec = (value: string | null | undefined, conf: string | null = null) => ({
  cluster: {
    settings: value === undefined ? null : [{ name: "max_connections", value, vartype: "integer" }],
    postgresql_conf: conf,
  },
  reconfigure_concurrency: 0,
});

test("reconcile.md case 63: the limit at a start follows max_connections", () => {
  const limits = ["5", "20", "29", "30", "100", "299", "300", "600", undefined, "many", null].map((value) =>
    startConcurrency(spec(value)),
  );
  expect(limits).toEqual([5, 10, 10, 10, 33, 99, 100, 100, 10, 10, 10]);
  expect(startConcurrency(spec(undefined, "a = b\n max_connections = 60 \nmax_connections=5"))).toBe(20);
  expect(startConcurrency(spec(undefined, "max_connections = '60'"))).toBe(10);
  expect(startConcurrency(spec("many", "max_connections = 60"))).toBe(10);
});

test("reconcile.md case 62: a reconfigure with concurrency 0 is one with 1", async () => {
  expect(reconfigureConcurrency(spec("5"))).toBe(1);
  let running = 0;
  let most = 0;
  const done: number[] = [];
  await forEachAtMost(0, [1, 2, 3], async (item) => {
    most = Math.max(most, ++running);
    await Promise.resolve();
    running--;
    done.push(item);
  });
  expect([most, done]).toEqual([1, [1, 2, 3]]);
});
