/**
 * exec → Running of `compute_ctl` on a fresh base backup from a local store, by stages, beside the floor: the same data
 * directory started with bare `postgres`. Runs are interleaved. Then the unpacking of a 1 GB backup beside `tar xzf`.
 *
 * Options: --runs N (20), --major M (17), --skip-unpack
 */
import { execFileSync, spawn } from "node:child_process";
import { createReadStream, existsSync, readFileSync, statSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { unpackBaseBackup } from "../src/basebackup/unpack.ts";
import { startOn } from "../test/support/compute_on.ts";
import { installation, runAs } from "../test/support/postgres.ts";
import { TestStore } from "../test/support/store.ts";
import { temporaryDirectory } from "../test/support/temp_directory.ts";
import { median, printTable, quantile } from "./statistics.ts";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "20" },
    major: { type: "string", default: "17" },
    "skip-unpack": { type: "boolean", default: false },
  },
});
const runs = Number(values.runs);
const server = installation(Number(values.major));

await benchStart();
if (!values["skip-unpack"]) await benchUnpack();

async function benchStart(): Promise<void> {
  await using store = await TestStore.start();
  await using place = await temporaryDirectory({ mode: 0o1777 });
  // One timeline and one PGDATA for all runs, as a compute that is started again and again has them.
  const storage = await store.timeline(server.major);
  const pgdata = join(place.path, "pgdata");
  const stages = new Map<string, number[]>();
  const total: number[] = [];
  const floor: number[] = [];
  const add = (name: string, ms: number): void => void stages.set(name, [...(stages.get(name) ?? []), ms]);
  for (let run = 0; run <= runs; run++) {
    const began = performance.now();
    await using compute = await startOn(storage, {
      pgbin: server.postgres,
      pgdata,
      env: { RUST_LOG: "debug" },
      more: { skip_pg_catalog_updates: run > 0 },
    });
    await compute.says("compute start finished");
    const running = performance.now() - began;
    await compute.request("/terminate?mode=immediate", { method: "POST", admin: true });
    await compute.exited;
    // The first run has nothing to overwrite and a catalog to fill.
    if (run === 0) continue;
    total.push(running);
    for (const [, name, ms] of compute.output.matchAll(
      /start_compute[^\n]*:(\w+)(?:\{[^}]*\})?: stage finished duration_ms=([\d.]+)/g,
    ))
      add(name ?? "", Number(ms));
    floor.push(await bareStart(pgdata));
  }
  const row = (name: string, samples: readonly number[]): (string | number)[] => [
    name,
    median(samples),
    quantile(samples, 0.95),
  ];
  printTable(`start, PostgreSQL ${server.version}, ${runs} runs, ms`, [
    ["", "median", "p95"],
    row("exec → Running", total),
    ...[...stages].map(([name, samples]) => row(`  ${name}`, samples)),
    row("floor: bare postgres → ready", floor),
  ]);
  console.log(`ratio to the floor: ${(median(total) / median(floor)).toFixed(1)}`);
}

/** Starts the server alone on a directory that was stopped cleanly, and stops it. */
async function bareStart(pgdata: string): Promise<number> {
  const began = performance.now();
  const child = spawn(server.postgres, ["-D", pgdata, "-c", "synchronous_standby_names=", "-c", "fsync=off"], {
    stdio: "ignore",
    ...(runAs === undefined ? {} : { uid: runAs.uid, gid: runAs.gid }),
  });
  const file = join(pgdata, "postmaster.pid");
  while (!(existsSync(file) && /^ready\s*$/m.test(readFileSync(file, "utf8"))))
    await new Promise((done) => setTimeout(done, 1));
  const ready = performance.now() - began;
  child.kill("SIGINT");
  await new Promise((done) => child.once("exit", done));
  return ready;
}

/** 1 GB in files of a database's sizes, compressed as a pageserver sends it. */
async function benchUnpack(): Promise<void> {
  await using place = await temporaryDirectory({ mode: 0o1777 });
  const source = join(place.path, "source");
  await mkdir(join(source, "global"), { recursive: true });
  await mkdir(join(source, "base/5"), { recursive: true });
  await writeFile(join(source, "global/pg_control"), Buffer.alloc(8192, 1));
  const block = Buffer.alloc(1 << 20);
  // Half noise, half zeros: about as compressible as heap pages.
  for (let at = 0; at < block.length; at += 4)
    if ((at >> 12) % 2 === 0) block.writeUInt32LE((Math.imul(at, 2654435761) ^ at) >>> 0, at);
  for (let index = 0; index < 64; index++)
    await writeFile(join(source, "base/5", String(index)), Buffer.concat(Array(16).fill(block)));
  const archive = join(place.path, "backup.tar.gz");
  execFileSync("tar", ["-C", source, "-czf", archive, "base", "global"], { env: { ...process.env, GZIP: "-1" } });
  const megabytes = 64 * 16;
  const rates: Record<string, number[]> = { ours: [], tar: [] };
  for (let run = 0; run < 3; run++) {
    for (const name of ["ours", "tar"]) {
      const target = join(place.path, `${name}-${run === 0 ? "first" : "again"}`);
      await mkdir(target, { recursive: true });
      const began = performance.now();
      if (name === "tar") execFileSync("tar", ["-C", target, "-xzf", archive]);
      else
        await unpackBaseBackup(createReadStream(archive, { highWaterMark: 1 << 18 }) as AsyncIterable<Buffer>, {
          pgdata: target,
          gzip: true,
        });
      rates[name]?.push((megabytes / (performance.now() - began)) * 1000);
    }
  }
  printTable(`unpacking ${megabytes} MB (${Math.round(statSync(archive).size / 1e6)} MB gzip), MB/s of the tar`, [
    ["", "first", "again"],
    ["ours", rates.ours?.[0] ?? 0, median(rates.ours?.slice(1) ?? [])],
    ["tar xzf", rates.tar?.[0] ?? 0, median(rates.tar?.slice(1) ?? [])],
  ]);
  await rm(source, { recursive: true });
}
