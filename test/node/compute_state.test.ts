import fc from "fast-check";
import { expect, test } from "vitest";
import { statusText } from "../../src/http/compute_status.ts";
import { ComputeState, InvalidStatusError } from "../../src/node/compute_state.ts";
import { publicStatus, STATE_TABLE, STATES, TRIGGERS, type Trigger } from "../../src/node/state_table.ts";
import { ComputeMetrics } from "../../src/telemetry/compute_metrics.ts";
import { createLogger } from "../../src/telemetry/log.ts";

function compute() {
  const lines: string[] = [];
  const metrics = new ComputeMetrics("latest");
  return {
    lines,
    metrics,
    state: new ComputeState(createLogger({ level: "info", write: (line) => void lines.push(line) }), metrics),
  };
}

function walk(...triggers: Trigger[]) {
  const made = compute();
  for (const trigger of triggers) made.state.apply(trigger);
  return made;
}

test("lifecycle.md case 14: with a spec at hand the sequence is init, running", () => {
  const { state } = walk("spec_at_start");
  expect(state.status).toBe("init");
  state.apply("start_done");
  expect(state.status).toBe("running");
});

test("lifecycle.md case 15: an empty compute goes configuration_pending, init, running", () => {
  const seen: string[] = [];
  const { state } = compute();
  state.onChange(({ to }) => seen.push(publicStatus(to)));
  for (const trigger of ["configure", "start_begins", "start_done"] as const) state.apply(trigger);
  expect(seen).toEqual(["configuration_pending", "init", "running"]);
});

test("lifecycle.md case 16: a reconfiguration goes configuration_pending, configuration, running", () => {
  const { state } = walk("spec_at_start", "start_done", "configure", "reconfiguration_begins");
  expect(state.status).toBe("configuration");
  state.apply("reconfiguration_done");
  expect(state.status).toBe("running");
});

test("lifecycle.md case 18: init refuses /configure and /terminate with its name", () => {
  const { state } = walk("spec_at_start");
  for (const trigger of ["configure", "terminate_fast", "terminate_immediate"] as const)
    expect(() => state.apply(trigger)).toThrow("invalid compute status: init");
});

test("lifecycle.md case 20: JSON spells statuses with underscores, text with hyphens", () => {
  expect(new Set(STATES.map(publicStatus)).size).toBe(11);
  expect(statusText("termination_pending_immediate")).toBe("termination-pending-immediate");
  expect(statusText("refresh_configuration_pending")).toBe("refresh-configuration-pending");
});

test("lifecycle.md case 63: a refresh that is pending refuses /configure and /terminate", () => {
  const { state } = walk("spec_at_start", "start_done", "refresh");
  for (const trigger of ["configure", "terminate_fast"] as const)
    expect(() => state.apply(trigger)).toThrow("invalid compute status: refresh-configuration-pending");
  expect(state.apply("refresh")).toBe(false);
});

test("lifecycle.md case 65: after a failed reconfiguration a good spec and a terminate are taken, and the error goes", () => {
  const { state } = walk("spec_at_start", "start_done", "configure", "reconfiguration_begins");
  state.apply("reconfiguration_fails", "bad role");
  expect([state.status, state.error]).toEqual(["failed", "bad role"]);
  state.apply("configure");
  state.apply("reconfiguration_begins");
  expect(state.error).toBe("bad role");
  state.apply("reconfiguration_done");
  expect([state.status, state.error]).toEqual(["running", null]);
});

test("lifecycle.md case 66: after a failed start nothing is taken and a refresh does not hide the failure", () => {
  const { state } = walk("spec_at_start");
  state.apply("start_fails", "no pageserver");
  for (const trigger of ["configure", "terminate_fast"] as const)
    expect(() => state.apply(trigger)).toThrow("invalid compute status: failed");
  expect(state.apply("refresh")).toBe(false);
  expect([state.status, state.error]).toEqual(["failed", "no pageserver"]);
});

test("storage is lost while a new spec is applied: how that ends changes nothing", () => {
  for (const way of [
    ["configure", "reconfiguration_begins", "reconfiguration_fails"],
    ["refresh", "refresh_begins", "refresh_fails"],
  ] as const)
    for (let lostBehind = 1; lostBehind < way.length; lostBehind++) {
      const { state } = walk("spec_at_start", "start_done", ...way.slice(0, lostBehind));
      state.apply("storage_lost", "another compute took over");
      for (const trigger of way.slice(lostBehind)) expect(state.apply(trigger, "no server")).toBe(false);
      expect([state.status, state.error]).toEqual(["failed", "another compute took over"]);
    }
});

test("every change is logged, shown by the metric and told to waiters; nothing else is", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom(...TRIGGERS), { maxLength: 40 }), async (triggers) => {
      const { state, lines, metrics } = compute();
      let changes = 0;
      state.onChange(() => changes++);
      let expected = 0;
      let statusChanges = 0;
      for (const trigger of triggers) {
        const before = state.state;
        const cell = STATE_TABLE[before][trigger];
        if (cell === "refused") expect(() => state.apply(trigger)).toThrow(InvalidStatusError);
        else if (cell === "never") expect(() => state.apply(trigger)).toThrow("cannot happen");
        else {
          const changed = state.apply(trigger);
          expect(changed).toBe(cell !== "ignored");
          if (changed) expected++;
          if (publicStatus(before) !== state.status) statusChanges++;
        }
      }
      expect(changes).toBe(expected);
      expect(lines.filter((line) => line.includes("Changing compute status from"))).toHaveLength(statusChanges);
      expect(await metrics.text()).toContain(`status="${statusText(state.status)}"} 1`);
    }),
    { numRuns: 50 },
  );
});

test("a waiter is woken when its state is reached, and told when it gives up", async () => {
  const { state } = walk("spec_at_start");
  const waiting = state.reach(["running", "start_failed"]);
  state.apply("start_done");
  expect(await waiting).toBe("running");
  await expect(state.reach(["terminated"], AbortSignal.abort())).rejects.toThrow();
});
