import { expect, test } from "vitest";
import { ComputeState } from "../../src/node/compute_state.ts";
import { Configurator, type ReconfigurationActions } from "../../src/node/configurator.ts";
import { JobQueue } from "../../src/node/job_queue.ts";
import { decodeComputeSpec } from "../../src/spec/decode.ts";
import { resolveSpec } from "../../src/spec/resolve.ts";
import type { ResolvedSpec } from "../../src/spec/resolved_spec.ts";
import type { ComputeConfig } from "../../src/spec/schema.ts";
import { ComputeMetrics } from "../../src/telemetry/compute_metrics.ts";
import { collectingLog } from "../support/collecting_log.ts";

function specOf(more: object = {}): ResolvedSpec {
  const spec = {
    format_version: 1,
    suspend_timeout_seconds: -1,
    cluster: { roles: [], databases: [] },
    tenant_id: "1".repeat(32),
    timeline_id: "2".repeat(32),
    pageserver_connstring: "postgresql://pageserver:6400",
    safekeeper_connstrings: ["safekeeper:5454"],
    ...more,
  };
  return resolveSpec(decodeComputeSpec(JSON.stringify(spec)));
}

const OTHER_PAGESERVER = { pageserver_connstring: "postgresql://elsewhere:6400" };

/** A running compute; `fetched` are the configs that a refresh finds, one after the other, the last one for ever. */
function running(options: Partial<ReconfigurationActions> & { fetched?: (ResolvedSpec | null | Error)[] } = {}) {
  const { log, lines } = collectingLog();
  const state = new ComputeState(log, new ComputeMetrics("latest"));
  for (const trigger of ["spec_at_start", "start_done"] as const) state.apply(trigger);
  const seen: string[] = [];
  state.onChange(({ to }) => seen.push(to));
  const applied: ResolvedSpec[] = [];
  let abandoned = false;
  let fetches = 0;
  let current = specOf();
  const end = new AbortController();
  const fetched = options.fetched ?? [current];
  const configurator = new Configurator({
    state,
    jobs: new JobQueue(),
    actions: {
      prepare: (spec) => Promise.resolve(async () => void applied.push(spec)),
      fetchConfig: () => {
        const next = fetched[Math.min(fetches++, fetched.length - 1)];
        if (next instanceof Error) return Promise.reject(next);
        return Promise.resolve({ spec: next?.spec ?? null } as unknown as ComputeConfig);
      },
      abandon: () => {
        abandoned = true;
      },
      ...options,
    },
    spec: {
      get: () => current,
      set: (spec) => {
        current = spec;
      },
    },
    log,
    signal: end.signal,
    pauseMs: 1,
  });
  const refresh = async (): Promise<void> => {
    state.apply("refresh");
    await configurator.refresh();
  };
  return {
    state,
    configurator,
    refresh,
    seen,
    applied,
    lines,
    end,
    get spec() {
      return current;
    },
    get abandoned() {
      return abandoned;
    },
    get fetches() {
      return fetches;
    },
  };
}

test("lifecycle.md case 16: a new spec goes through pending and configuration, and is in force", async () => {
  const compute = running();
  const next = specOf({ operation_uuid: "op" });
  await compute.configurator.configure(next);
  await compute.state.reach(["running"]);
  expect(compute.seen).toEqual(["configuration_pending", "configuration", "running"]);
  expect([compute.spec, compute.applied]).toEqual([next, [next]]);
});

test("http-api.md case 17: of two at the same time one is taken", async () => {
  const compute = running();
  const results = await Promise.allSettled([
    compute.configurator.configure(specOf({ operation_uuid: "a" })),
    compute.configurator.configure(specOf({ operation_uuid: "b" })),
  ]);
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
  await compute.state.reach(["running"]);
  expect(compute.applied.map(({ spec }) => spec.operation_uuid)).toEqual(["a"]);
});

test("lifecycle.md case 71: while one works, others are refused at once", async () => {
  const gate = Promise.withResolvers<void>();
  const compute = running({ prepare: () => Promise.resolve(() => gate.promise) });
  await compute.configurator.configure(specOf());
  await compute.state.reach(["configuration"]);
  await expect(compute.configurator.configure(specOf())).rejects.toThrow("invalid compute status: configuration");
  expect(() => compute.state.apply("terminate_fast")).toThrow("invalid compute status: configuration");
  expect(compute.state.accepts("refresh")).toBe(false);
  gate.resolve();
  await compute.state.reach(["running"]);
});

test("what is refused before anything was done leaves status and spec alone", async () => {
  const compute = running({ prepare: () => Promise.reject(new Error("Postgres refuses it")) });
  const before = compute.spec;
  await expect(compute.configurator.configure(specOf())).rejects.toThrow("Postgres refuses it");
  await expect(compute.configurator.configure(specOf({ tenant_id: "3".repeat(32) }))).rejects.toThrow("tenant_id");
  expect([compute.seen, compute.spec]).toEqual([[], before]);
});

test("http-api.md case 46: a failure says why, and the next good spec clears it", async () => {
  let fail = true;
  const compute = running({
    prepare: () => Promise.resolve(() => (fail ? Promise.reject(new Error("no such role")) : Promise.resolve())),
  });
  await compute.configurator.configure(specOf());
  await compute.state.reach(["reconfiguration_failed"]);
  expect(compute.state.error).toBe("no such role");
  expect(compute.lines).toContain("ERROR could not configure compute node: no such role");
  fail = false;
  await compute.configurator.configure(specOf());
  await compute.state.reach(["running"]);
  expect(compute.state.error).toBeNull();
});

test("lifecycle.md case 48, spec.md case 31: a refresh that finds the same spec changes nothing", async () => {
  const compute = running({ fetched: [specOf()] });
  const before = compute.spec;
  await compute.refresh();
  expect(compute.seen).toEqual(["refresh_configuration_pending", "refresh_configuration", "running"]);
  expect([compute.spec, compute.applied]).toEqual([before, []]);
});

test("spec.md case 31: a refresh that finds the same pageservers and something else applies it", async () => {
  const other = specOf({ operation_uuid: "another" });
  const compute = running({ fetched: [other] });
  await compute.refresh();
  expect([compute.state.status, compute.applied]).toEqual(["running", [other]]);
});

test("lifecycle.md case 49: other pageservers are put in force", async () => {
  const moved = specOf(OTHER_PAGESERVER);
  const compute = running({ fetched: [moved] });
  await compute.refresh();
  expect([compute.state.status, compute.applied, compute.spec]).toEqual(["running", [moved], moved]);
});

test("lifecycle.md case 50: no spec any more gives the compute up", async () => {
  const compute = running({ fetched: [null] });
  await compute.refresh();
  expect([compute.abandoned, compute.state.status]).toEqual([true, "refresh_configuration"]);
});

test("lifecycle.md case 63: what fails is tried again, and waits as pending in between", async () => {
  const compute = running({
    fetched: [new Error("file missing"), specOf({ timeline_id: "4".repeat(32), ...OTHER_PAGESERVER }), specOf()],
  });
  await compute.refresh();
  expect(compute.fetches).toBe(3);
  expect(compute.seen).toEqual([
    ...Array(3).fill(["refresh_configuration_pending", "refresh_configuration"]).flat(),
    "running",
  ]);
  expect(compute.lines).toContain("ERROR Refresh configuration: file missing");
  expect(compute.state.error).toBeNull();
});

test("lifecycle.md case 64: right after a refresh a /configure is worked off at once", async () => {
  const compute = running();
  await compute.refresh();
  await compute.configurator.configure(specOf());
  await compute.state.reach(["running"]);
  expect(compute.applied).toHaveLength(1);
});

test("the end of the process ends a refresh that cannot be worked off", async () => {
  const compute = running({ fetched: [new Error("file missing")] });
  const refreshing = compute.refresh();
  await compute.state.reach(["refresh_configuration"]);
  compute.end.abort();
  await refreshing;
});
