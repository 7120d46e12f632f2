import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { Compute, tokenMaker } from "../support/compute_ctl.ts";
import { runOn, specAt, startOn } from "../support/compute_on.ts";
import { installation } from "../support/postgres.ts";
import { startLibpqServer } from "../support/scripted_libpq_server.ts";
import { useStore } from "../support/store.ts";

const store = useStore();

/** A compute that stays in `init`: its pageserver never answers. */
async function startStuck() {
  const silent = await startLibpqServer({ answer: () => undefined });
  const storage = await store().timeline();
  const pageserver = { libpq_url: `postgresql://no_user@127.0.0.1:${silent.port}` };
  const compute = await startOn({ ...storage, pageserver });
  await compute.reach("init");
  return {
    compute,
    storage,
    async [Symbol.asyncDispose]() {
      await compute[Symbol.asyncDispose]();
      await silent[Symbol.asyncDispose]();
    },
  };
}

/** The statuses that the log names, in order. */
function changes(compute: Compute): string[] {
  return [...compute.output.matchAll(/Changing compute status from \S+ to (\S+)/g)].map(([, to]) => to ?? "");
}

async function answerOf(response: Response): Promise<[number, unknown]> {
  return [response.status, await response.json()];
}

describe("an empty compute", () => {
  test("lifecycle.md case 15, http-api.md case 18, metrics-and-logs.md case 18: /configure after 2 s starts it, and the wait is no part of the start", async () => {
    const storage = await store().timeline();
    await using compute = await Compute.start({ config: {}, pgbin: installation(17).postgres });
    await compute.reach("empty");
    const before = await compute.status();
    await delay(2_000);
    const seen = new Set<string>();
    const configuring = compute.configure(specAt(compute, storage));
    let answered = false;
    void configuring.finally(() => (answered = true));
    while (!answered) seen.add((await compute.status()).status);
    const [code, body] = await answerOf(await configuring);
    expect(code).toBe(200);
    expect(body).toMatchObject({ status: "running", tenant: storage.tenantId, timeline: storage.timelineId });
    for (const status of seen) expect(["empty", "configuration_pending", "init", "running"]).toContain(status);
    expect(changes(compute)).toEqual(["configuration-pending", "init", "running"]);
    expect(new Date((await compute.status()).start_time).getTime()).toBeGreaterThan(
      new Date(before.start_time).getTime(),
    );
    const { wait_for_spec_ms, total_startup_ms = 0 } = await compute.startupMetrics();
    expect(wait_for_spec_ms).toBeGreaterThanOrEqual(1_990);
    // From the accepted request to its answer at most, which the log knows.
    const latency = Number(/uri=\/configure.* code=200 latency=(\d+)/.exec(compute.output)?.[1]);
    expect(total_startup_ms).toBeLessThanOrEqual(latency + 50);
    expect(await compute.query("SELECT 1")).toBe(1);
  });

  test("metrics-and-logs.md case 1, metrics-and-logs.md case 2, metrics-and-logs.md case 5, metrics-and-logs.md case 17: what its metrics show", async () => {
    await using compute = await Compute.start({ config: {}, env: { BUILD_TAG: "abc" } });
    await compute.reach("empty");
    const response = await fetch(`http://127.0.0.1:${compute.externalPort}/metrics`);
    expect(response.headers.get("content-type")).toMatch(/^text\/plain; ?version=0\.0\.4/);
    const text = await response.text();
    expect(text).toContain('compute_ctl_up{build_tag="abc",status="empty"} 1');
    for (const name of [
      "compute_pg_current_downtime_ms",
      "compute_pg_downtime_ms_total",
      "compute_ctl_lfc_prewarms_total",
    ])
      expect(text).toMatch(new RegExp(`^${name} 0$`, "m"));
    for (const name of [
      "compute_installed_extensions",
      "compute_ctl_cplane_requests_total",
      "compute_ctl_remote_ext_requests_total",
      "compute_ctl_db_migration_failed_total",
      "pg_cctl_attached",
    ])
      expect(text).not.toContain(name);
    expect(Object.values(await compute.startupMetrics())).toEqual(Array(13).fill(0));
  });
});

describe("bodies of /configure that are refused", () => {
  test("http-api.md case 16, http-api.md case 45, spec.md case 30: by their form, and the status stays", async () => {
    const storage = await store().timeline();
    await using compute = await Compute.start({ config: {} });
    await compute.reach("empty");
    const spec = specAt(compute, storage);
    const post = async (body: string, type = "application/json"): Promise<[number, unknown]> =>
      await answerOf(await compute.request("/configure", { method: "POST", body, headers: { "content-type": type } }));
    const error = { error: expect.stringMatching(/\S/) };
    const compute_ctl_config = { jwks: { keys: [] } };
    expect(await post("{}", "text/plain")).toEqual([415, error]);
    expect(await post("{")).toEqual([400, error]);
    expect(await post("{}")).toEqual([422, error]);
    expect(await post(JSON.stringify({ spec }))).toEqual([422, error]);
    expect(await post(JSON.stringify({ spec: null, compute_ctl_config }))).toEqual([422, error]);
    const missing = { ...spec, format_version: undefined };
    expect(await post(JSON.stringify({ spec: missing, compute_ctl_config }))).toEqual([
      422,
      { error: expect.stringContaining("format_version") },
    ]);
    const twice = { ...spec, safekeeper_connstrings: ["a:1", "b:1", "a:1"] };
    expect(await post(JSON.stringify({ spec: twice, compute_ctl_config }))).toEqual([
      400,
      { error: "duplicate entry in safekeeper_connstrings: a:1!" },
    ]);
    const unknown = { ...spec, tenant_id: null };
    expect(await post(JSON.stringify({ spec: unknown, compute_ctl_config }))).toEqual([
      400,
      { error: "tenant id should be provided" },
    ]);
    expect((await compute.status()).status).toBe("empty");
  });

  test("lifecycle.md case 18, http-api.md case 20, http-api.md case 44: by the state, unless the body is wrong", async () => {
    await using stuck = await startStuck();
    const { compute, storage } = stuck;
    const refused = [412, { error: "invalid compute status: init" }];
    expect(await answerOf(await compute.configure(specAt(compute, storage)))).toEqual(refused);
    expect(await answerOf(await compute.request("/terminate", { method: "POST" }))).toEqual(refused);
    const twice = specAt(compute, storage, { more: { safekeeper_connstrings: ["a:1", "a:1"] } });
    expect((await compute.configure(twice)).status).toBe(400);
    expect((await compute.request("/terminate?mode=slow", { method: "POST" })).status).toBe(400);
    expect((await compute.status()).status).toBe("init");
    expect(await compute.metrics()).toContain('status="init"} 1');
  });

  test("spec.md case 22, spec.md case 36: a running compute keeps its spec", async () => {
    const storage = await store().timeline();
    await using compute = await runOn(storage);
    const pid = await compute.postmasterPid();
    const twice = specAt(compute, storage, { more: { safekeeper_connstrings: ["a:1", "a:1"] } });
    expect((await compute.configure(twice)).status).toBe(400);
    const other = await store().timeline();
    const elsewhere = specAt(compute, { ...storage, timelineId: other.timelineId }, { settings: { work_mem: "7MB" } });
    expect(await answerOf(await compute.configure(elsewhere))).toEqual([
      400,
      { error: expect.stringContaining("timeline_id") },
    ]);
    expect(await compute.status()).toMatchObject({ status: "running", timeline: storage.timelineId, error: null });
    expect(await compute.query("SHOW neon.timeline_id")).toBe(storage.timelineId);
    expect(await compute.query("SHOW work_mem")).toBe("4MB");
    expect(await compute.postmasterPid()).toBe(pid);
  });
});

describe("a running compute takes a new spec", () => {
  test("lifecycle.md case 16, lifecycle.md case 17, http-api.md case 17, postgres-config.md case 21, spec.md case 35, metrics-and-logs.md case 30: a setting", async () => {
    const storage = await store().timeline();
    await using compute = await runOn(storage, { more: { skip_pg_catalog_updates: true } });
    const pid = await compute.postmasterPid();
    const before = changes(compute).length;
    const settings = { log_line_prefix: "%m [%p] new " };
    const spec = specAt(compute, storage, { settings, more: { skip_pg_catalog_updates: true } });
    const [first, second] = await Promise.all([compute.configure(spec), compute.configure(spec)]);
    const [good, refused] = first.status === 200 ? [first, second] : [second, first];
    expect(await answerOf(good)).toEqual([200, expect.objectContaining({ status: "running" })]);
    expect(await answerOf(refused)).toEqual([
      412,
      { error: expect.stringMatching(/^invalid compute status: configuration(-pending)?$/) },
    ]);
    await expect.poll(() => compute.query("SHOW log_line_prefix")).toBe("%m [%p] new ");
    await compute.says('parameter "log_line_prefix" changed to');
    expect(changes(compute).slice(before)).toEqual(["configuration-pending", "configuration", "running"]);
    expect(await compute.postmasterPid()).toBe(pid);
    const up = (await compute.metrics()).split("\n").filter((line) => line.startsWith("compute_ctl_up{"));
    expect(up).toEqual(['compute_ctl_up{build_tag="latest",status="running"} 1']);
    expect(compute.output).toMatch(/ INFO request\{method=POST uri=\/configure/);
    expect(compute.output).toMatch(/ INFO request\{method=POST uri=\/configure.* code=200 latency=\d+/);
  });

  test("spec.md case 33, spec.md case 34: pageservers and safekeepers reach open sessions without a restart", async () => {
    const storage = await store().timeline();
    await using compute = await runOn(storage);
    const session = await compute.connect();
    const show = async (name: string): Promise<unknown> =>
      (await session.query({ text: `SHOW ${name}`, rowMode: "array" })).rows[0]?.[0];
    const url = `${storage.pageserver.libpq_url}?application_name=moved`;
    const moved = { ...storage, pageserver: { ...storage.pageserver, libpq_url: url } };
    const response = await compute.configure(specAt(compute, moved, { more: { safekeepers_generation: 7 } }));
    expect(response.status).toBe(200);
    await expect.poll(() => show("neon.pageserver_connstring")).toBe(url);
    expect(await show("neon.safekeepers")).toMatch(/^g#7:/);
    await session.end();
  });

  test("postgres-config.md case 27: what needs a restart waits for one", async () => {
    const storage = await store().timeline();
    await using compute = await runOn(storage);
    const pid = await compute.postmasterPid();
    const spec = specAt(compute, storage, { settings: { max_connections: 57 } });
    expect((await compute.configure(spec)).status).toBe(200);
    await expect
      .poll(() => compute.query("SELECT pending_restart FROM pg_settings WHERE name = 'max_connections'"))
      .toBe(true);
    expect(await compute.query("SHOW max_connections")).not.toBe("57");
    expect(await compute.postmasterPid()).toBe(pid);
  });

  test("postgres-config.md case 4: one with a setting that Postgres refuses, or without a value, leaves the old one in force", async () => {
    const storage = await store().timeline();
    await using compute = await runOn(storage);
    const bad = specAt(compute, storage, { settings: { work_mem: "oops" } });
    // Found before anything is changed, so nothing has failed.
    const [code, body] = await answerOf(await compute.configure(bad));
    expect([code, body]).toEqual([400, { error: expect.stringMatching(/invalid value for parameter "work_mem"/) }]);
    expect(await compute.status()).toMatchObject({ status: "running", error: null });
    expect(await compute.query("SHOW work_mem")).toBe("4MB");
    const nothing = specAt(compute, storage);
    (nothing.cluster as { settings: object[] }).settings.push({ name: "work_mem", value: null, vartype: "string" });
    const refused = await compute.configure(nothing);
    expect(refused.status).toBeGreaterThanOrEqual(400);
    expect(await refused.text()).toContain("work_mem");
    expect((await compute.configure(specAt(compute, storage, { settings: { work_mem: "9MB" } }))).status).toBe(200);
    expect(await compute.status()).toMatchObject({ status: "running", error: null });
    await expect.poll(() => compute.query("SHOW work_mem")).toBe("9MB");
  });

  test("spec.md case 30, http-api.md case 45: other keys in the request change nothing", async () => {
    const storage = await store().timeline();
    const foreign = tokenMaker();
    await using compute = await runOn(storage);
    const response = await compute.configure(specAt(compute, storage), {
      compute_ctl_config: { jwks: foreign.jwks },
    });
    expect(response.status).toBe(200);
    const token = await foreign.sign({ compute_id: "c1" });
    const refused = await compute.request("/status", { headers: { authorization: `Bearer ${token}` } });
    expect(refused.status).toBe(401);
    expect((await compute.status()).status).toBe("running");
  });

  test("http-api.md case 15: an unused compute was never active; times end as the contract says", async () => {
    await using compute = await runOn(await store().timeline());
    const { start_time, last_active } = await compute.status();
    expect(start_time).toMatch(/Z$/);
    expect(last_active).toBeNull();
  });
});
