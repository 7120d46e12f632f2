import { RunningStore, TENANT, TIMELINE } from "/work/main/test/store/running_store.ts";
import { PushClient, targetOf, walAt } from "/work/main/test/store/push_client.ts";
  const store = await RunningStore.start({ log: undefined as never ?? { error: console.error, warn: console.error, info: console.error, debug(){}, trace(){}, span(){ return this; } } as never });
  const lsn = await store.createTimeline(17);
  const timeline = store.server.store.tenants.timeline(TENANT, TIMELINE);
  const target = targetOf(timeline, store.server.addresses.safekeeper);
  const { lastRecordStart } = await timeline.walEnd();
  const push = await PushClient.elected(target);
  const wal = walAt(target, lsn, lastRecordStart);
  const small = async (n: number) => {
  const lat = [];
  for (let i = 0; i < n; i++) { const w = wal.record(Buffer.alloc(150, i)).take(); const t0 = performance.now();  await push.append(w); lat.push(performance.now() - t0); }
  lat.sort((a, b) => a - b);
  console.log("p50", lat[n >> 1], "p99", lat[Math.floor(n * 0.99)]);
  };
  await small(3000);
  for (let r = 0; r < 4; r++) {
  for (let i = 0; i < 500; i++) wal.record(Buffer.alloc(100_000, i));
  const bytes = wal.take();
  const t = performance.now();
  await push.append(bytes);
  console.log(bytes.length / 1e6 / (performance.now() - t) * 1000, "MB/s");
  }
  await small(3000);
  await push[Symbol.asyncDispose]();
  await store[Symbol.asyncDispose]();
