import { expect, test } from "vitest";
import { createLogger } from "../../src/telemetry/log.ts";
import { parseLogFilter } from "../../src/telemetry/log_level.ts";
import { display } from "../../src/telemetry/log_line.ts";

function capture(rustLog?: string) {
  const lines: string[] = [];
  const log = createLogger({
    level: parseLogFilter(rustLog),
    write: (line) => void lines.push(line),
    now: () => 1_775_121_301_204_518,
  });
  return { lines, log };
}

test("metrics-and-logs.md case 20: lines have the contract's form and RUST_LOG decides which appear", () => {
  const form = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z (ERROR| WARN| INFO|DEBUG|TRACE) /;
  for (const [filter, expected] of [
    [undefined, ["error", "warn", "info"]],
    ["debug", ["error", "warn", "info", "debug"]],
    ["warn", ["error", "warn"]],
    ["off", []],
  ] as const) {
    const { lines, log } = capture(filter);
    for (const level of ["error", "warn", "info", "debug", "trace"] as const) log[level](level);
    expect(lines.map((line) => line.slice(34).trim())).toEqual(expected);
    for (const line of lines) expect(line).toMatch(form);
  }
});

test("spans, fields and the fraction are printed as the contract's example shows", () => {
  const { lines, log } = capture();
  log
    .span("start_compute")
    .info("compute start finished", { metrics: display("ComputeMetrics { a: 1 }"), postmaster_pid: 4711 });
  log
    .span("request", { method: display("POST"), uri: display("/configure") })
    .info("POST /configure 100%s", { request_id: "a b" });
  expect(lines).toEqual([
    "2026-04-02T09:15:01.204518Z  INFO start_compute: compute start finished metrics=ComputeMetrics { a: 1 } postmaster_pid=4711\n",
    '2026-04-02T09:15:01.204518Z  INFO request{method=POST uri=/configure}: POST /configure 100%s request_id="a b"\n',
  ]);
});

test("a filter names targets; foreign ones and nonsense are ignored", () => {
  expect(parseLogFilter("info,compute_tools=debug,hyper=trace")).toBe("debug");
  expect(parseLogFilter("hyper=trace")).toBe("info");
  expect(parseLogFilter("WARN")).toBe("warn");
  expect(parseLogFilter("nonsense")).toBe("info");
  expect(parseLogFilter(undefined)).toBe("info");
});
