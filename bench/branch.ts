/**
 * How long a branch takes to make while its parent is written to, and what the parent's clients notice.
 *
 *     npm run bench -- branch [--scale 70] [--branches 20] [--clients 4]
 *
 * A scale of 70 is about a gigabyte.
 */
import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { runOn } from "../test/support/compute_on.ts";
import { TestStore } from "../test/support/store.ts";
import { fillTables, serverWithTools, transactionsPerSecond } from "./pgbench.ts";
import { median, printTable, quantile } from "./statistics.ts";

const { values } = parseArgs({
  options: {
    scale: { type: "string", default: "70" },
    branches: { type: "string", default: "20" },
    clients: { type: "string", default: "4" },
  },
});
process.env.TMPDIR ??= tmpdir();
const server = serverWithTools();
const [branches, clients] = [Number(values.branches), Number(values.clients)];
const PAUSE_MS = 200;
const seconds = Math.ceil((branches * PAUSE_MS * 1.5) / 1000) + 2;

await using store = await TestStore.start();
const storage = await store.timeline(server.major);
await using compute = await runOn(storage, { pgbin: server.postgres });
const target = { server, port: compute.postgresPort };
await fillTables(target, Number(values.scale));
const size = Number(await compute.query("SELECT pg_database_size('postgres')"));

const alone = await transactionsPerSecond(target, clients, seconds);
const load = transactionsPerSecond(target, clients, seconds);
await delay(1000);
const times: number[] = [];
for (let index = 0; index < branches; index++) {
  const began = performance.now();
  await store.call("POST", `/v1/tenant/${storage.tenantId}/timeline`, {
    new_timeline_id: randomBytes(16).toString("hex"),
    ancestor_timeline_id: storage.timelineId,
  });
  times.push(performance.now() - began);
  await delay(PAUSE_MS);
}
const meanwhile = await load;

printTable(`${branches} branches of a database of ${Math.round(size / 1024 / 1024)} MB, ${clients} writing clients`, [
  ["", "median", "p95", "most"],
  ["one branch, ms", median(times), quantile(times, 0.95), Math.max(...times)],
]);
printTable("the parent's clients", [
  ["", "tps"],
  ["alone", alone],
  ["while branches are made", meanwhile],
]);
