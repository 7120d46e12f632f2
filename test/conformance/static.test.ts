import { describe, expect, test } from "vitest";
import { specAt, startOn } from "../support/compute_on.ts";
import { copyAnswer } from "../support/sample_base_backup.ts";
import { startLibpqServer } from "../support/scripted_libpq_server.ts";
import { type Storage, TestStore } from "../support/store.ts";
import { until } from "../support/until.ts";

const GRANTED = /lsn_lease_bg_task\{tenant_id=\w+ timeline_id=\w+ lsn=[0-9A-F]+\/[0-9A-F]+\}: Request succeeded/g;

describe.concurrent("the lease of a static compute", () => {
  test("lifecycle.md case 29, metrics-and-logs.md case 31: asked for from the start on, renewed before it ends, one line each", async () => {
    await using store = await TestStore.start(["--lsn-lease-length", "1"]);
    const storage = await store.timeline();
    const info = await store.call("GET", `/v1/tenant/${storage.tenantId}/timeline/${storage.timelineId}`);
    await using compute = await startOn(storage, { more: { mode: { Static: String(info.last_record_lsn) } } });
    await compute.reach("running");
    await until(() => (compute.output.match(GRANTED) ?? []).length >= 3);
    expect(compute.output).toContain("Request succeeded, sleeping for 0 seconds");
    expect(await compute.metrics()).toMatch(/compute_ctl_lsn_lease_requests_total\{outcome="granted"\} \d/);
    await compute.stop();
    expect(compute.output).not.toContain("Failed to acquire lsn lease");
  });

  test("begins before the base backup", async () => {
    await using store = await TestStore.start();
    const storage = await store.timeline();
    // Never answers a lease, and has no backup.
    await using old = await startLibpqServer({
      answer: ({ query }) => (query.startsWith("lease") ? undefined : copyAnswer(Buffer.alloc(0))),
    });
    const elsewhere: Storage = { ...storage, pageserver: { libpq_url: `postgresql://no_user@127.0.0.1:${old.port}` } };
    const info = await store.call("GET", `/v1/tenant/${storage.tenantId}/timeline/${storage.timelineId}`);
    const lsn = String(info.last_record_lsn);
    await using compute = await startOn(elsewhere, { more: { mode: { Static: lsn } } });
    const lease = `lease lsn ${storage.tenantId} ${storage.timelineId} ${lsn}`;
    await until(() => old.sessions.some(({ query }) => query.trim() === lease));
    expect(["init", "failed"]).toContain((await compute.status()).status);
  });

  test("a reconfiguration with another pageserver is followed at once", async () => {
    await using store = await TestStore.start();
    const storage = await store.timeline();
    const info = await store.call("GET", `/v1/tenant/${storage.tenantId}/timeline/${storage.timelineId}`);
    const more = { mode: { Static: String(info.last_record_lsn) } };
    await using other = await startLibpqServer({ answer: () => undefined });
    await using compute = await startOn(storage, { more });
    await compute.reach("running");
    await compute.says(/Request succeeded, sleeping for 5\d\d seconds/);
    const moved: Storage = { ...storage, pageserver: { libpq_url: `postgresql://no_user@127.0.0.1:${other.port}` } };
    expect((await compute.configure(specAt(compute, moved, { more }))).status).toBe(200);
    await compute.says("Pageserver config changed");
    await until(() => other.sessions.some(({ query }) => query.startsWith("lease lsn ")));
  });
});
