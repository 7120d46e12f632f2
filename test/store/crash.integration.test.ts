import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes, randomInt } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { readStoredTimeline, scanOf } from "../../src/store/inspect/stored_timeline.ts";
import { storeLayout } from "../../src/store/layout.ts";
import { WalReader } from "../../src/store/wal_reader.ts";
import { findWalEnd } from "../../src/store/wal_scan.ts";
import { parseLsn } from "../../src/wire/lsn.ts";
import { segmentNumber, segmentStart } from "../../src/wire/wal/segment.ts";
import { freePort } from "../support/free_port.ts";
import { PushClient, type PushTarget, targetOf, walAt } from "./push_client.ts";
import { Ledger, PushingProposer } from "./pushing_proposer.ts";
import { RunningStore, TENANT, TIMELINE } from "./running_store.ts";

const PROGRAM = join(import.meta.dirname, "../../src/neon_store.ts");
const ROUNDS = 6;

/** A store that can be killed. */
async function startProgram(dir: string, port: number): Promise<ChildProcess> {
  const free = ["pageserver", "grpc", "http"].flatMap((name) => [`--${name}-addr`, "127.0.0.1:0"]);
  const child = spawn(process.execPath, [PROGRAM, "--dir", dir, "--safekeeper-addr", `127.0.0.1:${port}`, ...free], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const { promise, resolve, reject } = Promise.withResolvers<ChildProcess>();
  let log = "";
  child.stderr?.on("data", (text) => {
    log += String(text);
    if (log.includes("ready")) resolve(child);
  });
  child.on("exit", () => reject(new Error(log)));
  return await promise;
}

async function kill(child: ChildProcess): Promise<void> {
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}

test("kill -9 of the store, and of the proposer, at random moments: nothing that was acknowledged is lost or changed", async () => {
  await using prepared = await RunningStore.start();
  const start = await prepared.createTimeline(17);
  const timeline = prepared.server.store.tenants.timeline(TENANT, TIMELINE);
  const { lastRecordStart: previous } = await timeline.walEnd();
  const port = await freePort();
  const target: PushTarget = targetOf(timeline, { host: "127.0.0.1", port });
  await prepared.stop();

  const ledger = new Ledger(start);
  const body = (): Buffer => randomBytes(randomInt(10) === 0 ? randomInt(200_000) : randomInt(16, 400));
  let store = await startProgram(prepared.dir, port);
  let proposer = new PushingProposer(target, ledger, { previous, body });
  const progress = async (): Promise<void> => {
    const before = ledger.acknowledged;
    while (ledger.acknowledged === before) {
      if (proposer.failure) throw proposer.failure;
      await delay(5);
    }
  };
  try {
    for (let round = 0; round < ROUNDS; round++) {
      await progress();
      await delay(randomInt(300));
      await kill(store);
      if (round % 2 === 1) await proposer[Symbol.asyncDispose]();
      store = await startProgram(prepared.dir, port);
      if (round % 2 === 1) proposer = new PushingProposer(target, ledger, { previous, body });
    }
    await progress();
  } finally {
    await proposer[Symbol.asyncDispose]();
    await kill(store);
  }

  const stored = await readStoredTimeline(storeLayout(prepared.dir), TENANT, TIMELINE);
  const { end } = await findWalEnd({ ...scanOf(stored, start), atLeast: ledger.acknowledged });
  expect(end).toBeGreaterThanOrEqual(ledger.acknowledged);
  expect(ledger.acknowledged).toBeGreaterThan(start);
  const reader = new WalReader(stored.spans);
  for (let at = start; at < ledger.acknowledged; ) {
    const segmentEnd = segmentStart(segmentNumber(at) + 1n);
    const stop = segmentEnd < ledger.acknowledged ? segmentEnd : ledger.acknowledged;
    expect((await reader.read(at, stop)).equals(ledger.read(at, stop))).toBe(true);
    at = stop;
  }
  await reader.close();
});

test("a proposer that is killed: the record it was told of counts, although the commit was never told back", async () => {
  await using store = await RunningStore.start();
  const start = await store.createTimeline(17);
  const timeline = store.server.store.tenants.timeline(TENANT, TIMELINE);
  const target = targetOf(timeline, store.server.addresses.safekeeper);
  const wal = walAt(target, start, (await timeline.walEnd()).lastRecordStart);
  {
    await using push = await PushClient.elected(target);
    await push.append(wal.record(Buffer.alloc(500)).take());
  }
  const { body } = await store.http("GET", `/v1/tenant/${TENANT}/timeline/${TIMELINE}`);
  expect(parseLsn(String(body.last_record_lsn))).toBe(wal.position);
  expect(parseLsn(String(body.commit_lsn))).toBe(start);
});
