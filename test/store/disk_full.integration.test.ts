import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { checkStore } from "../../src/store/inspect/check_store.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";
import { targetOf } from "./push_client.ts";
import { Ledger, PushingProposer } from "./pushing_proposer.ts";
import { RunningStore, TENANT, TIMELINE } from "./running_store.ts";

const run = promisify(execFile);

/** A small file system; undefined where this process may not mount one. */
async function smallDisk(megabytes: number): Promise<(AsyncDisposable & { path: string }) | undefined> {
  const directory = await temporaryDirectory();
  const path = join(directory.path, "disk");
  await mkdir(path);
  try {
    await run("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs", path]);
  } catch {
    await directory[Symbol.asyncDispose]();
    return undefined;
  }
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      await run("umount", [path]);
      await directory[Symbol.asyncDispose]();
    },
  };
}

test("a full disk: commits wait, nothing acknowledged is lost, and it goes on when there is room", async ({ skip }) => {
  await using disk = await smallDisk(64);
  if (!disk) return skip("this process may not mount a file system");
  const dir = join(disk.path, "store");
  const filler = join(disk.path, "filler");
  let acknowledged: bigint;
  {
    await using store = await RunningStore.start({ dir });
    const start = await store.createTimeline(17);
    const timeline = store.server.store.tenants.timeline(TENANT, TIMELINE);
    const { lastRecordStart: previous } = await timeline.walEnd();
    const target = targetOf(timeline, store.server.addresses.safekeeper);
    await writeFile(filler, Buffer.alloc(24 * 1024 * 1024));
    const ledger = new Ledger(start);
    await using proposer = new PushingProposer(target, ledger, { previous, body: () => randomBytes(50_000) });
    const refused = async (): Promise<void> => {
      while (!proposer.refusals.some((text) => text.includes("ENOSPC"))) {
        if (proposer.failure) throw proposer.failure;
        await delay(20);
      }
    };
    await refused();
    let full: bigint;
    // What a failed attempt gives back may do for a few more commits.
    do {
      full = ledger.acknowledged;
      proposer.refusals.length = 0;
      await refused();
    } while (ledger.acknowledged > full);
    // The rest of the store goes on, and so does reading what is there.
    expect((await store.http("GET", `/v1/tenant/${TENANT}/timeline/${TIMELINE}`)).status).toBe(200);
    expect((await timeline.walEnd()).end).toBeGreaterThanOrEqual(full);
    await rm(filler);
    while (ledger.acknowledged === full) {
      if (proposer.failure) throw proposer.failure;
      await delay(20);
    }
    proposer.quiet();
    acknowledged = ledger.acknowledged;
    expect(acknowledged).toBeGreaterThan(full);
  }
  expect((await checkStore(dir)).problems).toEqual([]);
  await using again = await RunningStore.start({ dir });
  const { end } = await again.server.store.tenants.timeline(TENANT, TIMELINE).walEnd();
  expect(end).toBeGreaterThanOrEqual(acknowledged);
});
