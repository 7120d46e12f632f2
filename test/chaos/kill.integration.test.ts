import { existsSync, readdirSync } from "node:fs";
import { symlink } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { execa } from "execa";
import { describe, expect, test } from "vitest";
import { parseLsn } from "../../src/wire/lsn.ts";
import { parseWalSegmentName, segmentStart, walSegmentName } from "../../src/wire/wal/segment.ts";
import { type Compute, workDirectory } from "../support/compute_ctl.ts";
import { type ComputeOnOptions, runOn } from "../support/compute_on.ts";
import { freePort } from "../support/free_port.ts";
import { installation, installations } from "../support/postgres.ts";
import { processesIn } from "../support/processes.ts";
import { type Storage, TestStore } from "../support/store.ts";
import { Random } from "../walproposer/simulation/random.ts";
import { Ledger } from "./ledger.ts";

const SEED = Number(process.env.CHAOS_SEED ?? 1);
const ROUNDS = Number(process.env.CHAOS_ROUNDS ?? 6);

/** Debian's tools for 15 are the foreign judges; a machine without them still kills. */
const JUDGES = "/usr/lib/postgresql/15/bin";

const KILLS = ["compute_and_postgres", "postmaster", "compute_ctl", "store", "everything"] as const;

async function kill(how: (typeof KILLS)[number], compute: Compute, store: TestStore, ledger: Ledger): Promise<void> {
  const postmaster = await compute.postmasterPid();
  if (how === "store") {
    await store.kill();
    await store.restart();
    // Whoever waited for a commit goes on in the same session.
    await ledger.progress(20);
  }
  if (how === "everything") await store.kill();
  if (how !== "postmaster") compute.child.kill("SIGKILL");
  if (how !== "compute_ctl") process.kill(postmaster, "SIGKILL");
  const ended = await compute.exited;
  if (how === "postmaster") expect(ended).toEqual({ code: 1, signal: null });
  if (how === "everything") await store.restart();
}

async function rounds(major: number, random: Random): Promise<void> {
  await using store = await TestStore.start();
  await using work = await workDirectory();
  const storage = await store.timeline(major);
  const options: ComputeOnOptions = {
    pgbin: installation(major).postgres,
    pgdata: join(work.path, "pgdata"),
    postgresPort: await freePort(),
  };
  let compute = await runOn(storage, options);
  try {
    const ledger = await Ledger.create(compute);
    for (let round = 0; round < ROUNDS; round++) {
      const how = KILLS[round % KILLS.length] ?? "everything";
      const load = ledger.load(compute, round);
      await ledger.progress(1);
      await delay(random.int(100, 900));
      await kill(how, compute, store, ledger);
      // Where only compute_ctl died its Postgres lives on, and nothing that it does is acknowledged any more.
      if (how !== "compute_ctl") await load;
      const next = await runOn(storage, options);
      await load;
      await compute[Symbol.asyncDispose]();
      compute = next;
      await ledger.verify(compute);
    }
    expect(ledger.acknowledged).toBeGreaterThan(ROUNDS);
    expect(await compute.query("SELECT timeline_id FROM pg_control_checkpoint()")).toBe(1);
    if (major === 15 && existsSync(JUDGES)) await judge(compute, store, storage);
  } finally {
    await compute[Symbol.asyncDispose]();
    expect(await processesIn(options.pgdata ?? "")).toEqual([]);
  }
}

/** Indexes fit their tables, and the store's segments are WAL up to the last byte that was committed. */
async function judge(compute: Compute, store: TestStore, { tenantId, timelineId }: Storage): Promise<void> {
  const where = ["-h", "127.0.0.1", "-p", String(compute.postgresPort), "-U", "cloud_admin"];
  await execa(join(JUDGES, "pg_amcheck"), [...where, "--install-missing", "--heapallindexed", "-d", "postgres"]);
  const answer = await compute.request("/terminate?mode=immediate", { method: "POST" });
  const { lsn } = (await answer.json()) as { lsn: string };
  const segments = join(store.directory, "tenants", tenantId, timelineId, "wal");
  // The next segment is there before it is needed, as zeros, and the judge would look there for the segment size.
  await using used = await workDirectory();
  const numbers = readdirSync(segments).flatMap((name) => parseWalSegmentName(name)?.segment ?? []);
  for (const number of numbers.filter((each) => segmentStart(each) < parseLsn(lsn)))
    await symlink(join(segments, walSegmentName(number)), join(used.path, walSegmentName(number)));
  const timeline = await store.call("GET", `/v1/tenant/${tenantId}/timeline/${timelineId}`);
  const first = String(timeline.min_readable_lsn);
  // Ends with an error unless there are records to the very end.
  const { stdout } = await execa(join(JUDGES, "pg_waldump"), ["-p", used.path, "-s", first, "-e", lsn], {
    maxBuffer: 1024 ** 3,
  });
  const last = stdout.trimEnd().split("\n").at(-1);
  expect(last).toContain("CHECKPOINT_SHUTDOWN");
}

describe(`killed at random moments under load (seed ${SEED})`, () => {
  const majors = installations().map(({ major }) => major);
  test.each([...new Set(majors)])(
    `neon-local.md case 22, storage-protocols.md case 23, lifecycle.md case 70: ${ROUNDS} rounds on PostgreSQL %i lose nothing that was acknowledged`,
    { timeout: 240_000 },
    async (major) => await rounds(major, new Random(SEED, major)),
  );
});
