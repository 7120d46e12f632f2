/**
 * From the death of a compute and its Postgres to the first commit of the next one on the same directory, with so many MB of
 * WAL to replay on top of an empty cluster. Each sample has a timeline of its own.
 *
 *     npm run bench -- restart [--major 17] [--samples 7] [--megabytes 0,1,16]
 */
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type Compute, workDirectory } from "../test/support/compute_ctl.ts";
import { runOn, startOn } from "../test/support/compute_on.ts";
import { freePort } from "../test/support/free_port.ts";
import { installation } from "../test/support/postgres.ts";
import { type Storage, TestStore } from "../test/support/store.ts";
import { printTable, quantile } from "./statistics.ts";

const { values } = parseArgs({
  options: {
    major: { type: "string", default: "17" },
    samples: { type: "string", default: "7" },
    megabytes: { type: "string", default: "0,1,16" },
  },
});
const major = Number(values.major);
await using store = await TestStore.start();

interface Sample {
  readonly total: number;
  readonly startup: Record<string, number>;
}

const rows: (string | number)[][] = [];
for (const megabytes of values.megabytes.split(",").map(Number)) {
  const samples: Sample[] = [];
  for (let index = 0; index < Number(values.samples); index++)
    samples.push(await measure(await store.timeline(major), megabytes));
  const column = (of: (sample: Sample) => number): number => quantile(samples.map(of), 0.5);
  const totals = samples.map(({ total }) => total);
  rows.push([
    `${megabytes} MB`,
    ...[quantile(totals, 0.5), Math.min(...totals), Math.max(...totals)],
    column(({ startup }) => startup.sync_safekeepers_ms ?? 0),
    column(({ startup }) => startup.basebackup_ms ?? 0),
    column(({ startup }) => startup.start_postgres_ms ?? 0),
    column(({ startup }) => startup.config_ms ?? 0),
    column(({ startup }) => startup.total_startup_ms ?? 0),
  ]);
}
printTable(`kill to first commit, PostgreSQL ${major}, ${values.samples} samples, milliseconds; parts are medians`, [
  ["WAL", "median", "least", "most", "election", "base backup", "Postgres ready", "config", "total start"],
  ...rows,
]);

async function measure(storage: Storage, megabytes: number): Promise<Sample> {
  await using work = await workDirectory();
  const options = {
    pgbin: installation(major).postgres,
    pgdata: join(work.path, "pgdata"),
    postgresPort: await freePort(),
  };
  await using killed = await runOn(storage, options);
  await write(killed, megabytes);
  const postmaster = await killed.postmasterPid();
  killed.child.kill("SIGKILL");
  process.kill(postmaster, "SIGKILL");
  await killed.exited;
  const died = performance.now();
  await using next = await startOn(storage, options);
  for (;;) {
    const done = await next.query("CREATE TABLE first_commit (n int)").then(
      () => true,
      () => false,
    );
    if (done) break;
    await delay(1);
  }
  const total = performance.now() - died;
  await next.reach("running");
  return { total, startup: await next.startupMetrics() };
}

/** Rows until so much WAL was written. */
async function write(compute: Compute, megabytes: number): Promise<void> {
  const client = await compute.connect();
  await client.query("CREATE TABLE filler (n int, pad text)");
  const { rows: began } = await client.query<{ lsn: string }>("SELECT pg_current_wal_lsn() AS lsn");
  const written = `SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '${began[0]?.lsn}')::float8 AS bytes`;
  for (;;) {
    const { rows: now } = await client.query<{ bytes: number }>(written);
    if ((now[0]?.bytes ?? 0) >= megabytes * 1024 * 1024) break;
    await client.query("INSERT INTO filler SELECT g, repeat('x', 100) FROM generate_series(1, 1000) g");
  }
  await client.end();
}
