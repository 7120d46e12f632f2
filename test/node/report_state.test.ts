import { expect, test } from "vitest";
import { ComputeState } from "../../src/node/compute_state.ts";
import { reportState } from "../../src/node/report_state.ts";
import { ComputeMetrics } from "../../src/telemetry/compute_metrics.ts";
import { collectingLog } from "../support/collecting_log.ts";

function reported(stop = new AbortController()) {
  const state = new ComputeState(collectingLog().log, new ComputeMetrics("test"));
  const said: string[] = [];
  const say = (what: string) => (status: string) => void said.push(`${what} ${status}`);
  const manager = { ready: say("ready"), status: say("status"), stopping: say("stopping") };
  return { state, said, report: () => reportState(manager, state, stop.signal) };
}

test("every state is told, ready with Running and not before, stopping when asked to terminate", () => {
  const { state, said, report } = reported();
  report();
  for (const trigger of ["spec_at_start", "start_done", "configure", "reconfiguration_begins"] as const)
    state.apply(trigger);
  state.apply("reconfiguration_fails", "no such role");
  for (const trigger of ["terminate_fast", "postgres_gone"] as const) state.apply(trigger);
  expect(said).toEqual([
    "status empty",
    "status init",
    "ready running",
    "status configuration-pending",
    "status configuration",
    "status failed: no such role",
    "stopping termination-pending-fast",
    "status terminated",
  ]);
});

test("a failed start comes with its reason", () => {
  const { state, said, report } = reported();
  state.apply("spec_at_start");
  report();
  state.apply("start_fails", "no base backup");
  expect(said).toEqual(["status init", "status failed: no base backup"]);
});

test("who begins to follow late gets where it stands, and a stop that has come already", () => {
  const stop = new AbortController();
  const { state, said, report } = reported(stop);
  state.apply("spec_at_start");
  state.apply("start_done");
  stop.abort();
  report();
  expect(said).toEqual(["ready running", "stopping stopping"]);
});

test("a signal is told", () => {
  const stop = new AbortController();
  const { said, report } = reported(stop);
  report();
  stop.abort();
  expect(said).toEqual(["status empty", "stopping stopping"]);
});
