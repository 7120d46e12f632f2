import { expect, test } from "vitest";
import { RunningStore, TENANT, TIMELINE } from "./running_store.ts";
import { PushClient, targetOf, walAt } from "./push_client.ts";

test("try", async () => {
  await using store = await RunningStore.start();
  const lsn = await store.createTimeline(17);
  const timeline = store.server.store.tenants.timeline(TENANT, TIMELINE);
  const target = targetOf(timeline, store.server.addresses.safekeeper);
  const { lastRecordStart } = await timeline.walEnd();
  await using push = await PushClient.elected(target);
  expect(push.position).toBe(lsn);
  const wal = walAt(target, lsn, lastRecordStart);
  for (let i = 0; i < 5; i++) {
    const answer = await push.append(wal.record(Buffer.alloc(100, i)).take());
    expect(answer.flushLsn).toBe(wal.position);
  }
  const big = wal; for (let i = 0; i < 400; i++) big.record(Buffer.alloc(100_000, i));
  const t = performance.now();
  const bytes = big.take();
  const answer = await push.append(bytes);
  console.log(bytes.length / 1e6 / (performance.now() - t) * 1000, "MB/s");
  expect(answer.flushLsn).toBe(wal.position);
  expect((await timeline.walEnd()).end).toBe(wal.position);
  const n = 2000; const lat = [];
  for (let i = 0; i < n; i++) { const t0 = performance.now(); const w = wal.record(Buffer.alloc(150, i)).take(); const a = await push.append(w); lat.push(performance.now() - t0); }
  lat.sort((a, b) => a - b);
  console.log("p50", lat[n / 2], "p99", lat[Math.floor(n * 0.99)]);
  console.log(store.log.join(""));
  const info = await store.http("GET", `/v1/tenant/${TENANT}/timeline/${TIMELINE}`);
  console.log(info.body);
});
