import { expect, test } from "vitest";
import { ComputeNode } from "../../src/node/compute_node.ts";
import { decodeComputeSpec } from "../../src/spec/decode.ts";
import { resolveSpec } from "../../src/spec/resolve.ts";
import { ComputeMetrics } from "../../src/telemetry/compute_metrics.ts";
import { emptyStartupMetrics } from "../../src/telemetry/startup_metrics.ts";
import { collectingLog } from "../support/collecting_log.ts";

const SPEC = resolveSpec(
  decodeComputeSpec(
    JSON.stringify({
      format_version: 1,
      suspend_timeout_seconds: -1,
      cluster: { roles: [], databases: [] },
      tenant_id: "1".repeat(32),
      timeline_id: "2".repeat(32),
      pageserver_connstring: "postgresql://pageserver:6400",
      safekeeper_connstrings: ["safekeeper:5454"],
    }),
  ),
);

function node(attachment?: ConstructorParameters<typeof ComputeNode>[3]) {
  const metrics = new ComputeMetrics("latest");
  return { metrics, node: new ComputeNode(collectingLog().log, metrics, emptyStartupMetrics(), attachment) };
}

test("in lakebase mode the metrics say what the compute is attached to", async () => {
  const { metrics, node: compute } = node({ computeId: "c1", instanceId: "i1" });
  expect(await metrics.text()).not.toContain("pg_cctl_attached");
  compute.takeFirstSpec(SPEC);
  expect(await metrics.text()).toContain(
    `pg_cctl_attached{pg_compute_id="c1",pg_instance_id="i1",tenant_id="${"1".repeat(32)}",timeline_id="${"2".repeat(32)}"} 1`,
  );
  const elsewhere = node();
  elsewhere.node.takeFirstSpec(SPEC);
  expect(await elsewhere.metrics.text()).not.toContain("pg_cctl_attached");
});

test("http-api.md case 40, metrics-and-logs.md case 16: a refresh that is refused names the state and is counted", async () => {
  const { metrics, node: compute } = node();
  for (let times = 0; times < 3; times++)
    expect(() => compute.refresh()).toThrow("Cannot refresh compute configuration in state Empty");
  compute.takeFirstSpec(SPEC);
  compute.refresh();
  expect(compute.state.status).toBe("init");
  expect(await metrics.text()).toContain("pg_cctl_pagestream_request_errors_total 4");
});

test("a status change is an event, with the error", () => {
  const { node: compute } = node();
  const seen: unknown[] = [];
  const stop = compute.onEvent((event) => seen.push(event));
  compute.takeFirstSpec(SPEC);
  compute.state.apply("start_fails", "no pageserver");
  stop();
  expect(seen).toEqual([
    { kind: "status", at: expect.any(Date), status: "init", error: null },
    { kind: "status", at: expect.any(Date), status: "failed", error: "no pageserver" },
  ]);
});

test("metrics-and-logs.md case 4: every status shows as one sample in its text form", async () => {
  const { metrics, node: compute } = node();
  const samples = async (): Promise<string[]> =>
    (await metrics.text()).split("\n").filter((line) => line.startsWith("compute_ctl_up{"));
  expect(await samples()).toEqual(['compute_ctl_up{build_tag="latest",status="empty"} 1']);
  compute.takeFirstSpec(SPEC);
  for (const [trigger, status] of [
    ["start_done", "running"],
    ["refresh", "refresh-configuration-pending"],
    ["refresh_begins", "refresh-configuration"],
    ["refresh_done", "running"],
    ["terminate_fast", "termination-pending-fast"],
    ["postgres_gone", "terminated"],
  ] as const) {
    compute.state.apply(trigger);
    expect(await samples()).toEqual([`compute_ctl_up{build_tag="latest",status="${status}"} 1`]);
  }
});
