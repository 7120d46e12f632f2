/**
 * What a durable commit costs: `pgbench -N` with 1 and 16 clients against a server that syncs its own disk, one that syncs
 * nothing, one whose commits wait for `pg_receivewal --synchronous`, and ours, whose commits wait for neon-store. One server
 * each, all of the same build; rounds are interleaved, so that what the machine does besides hits all of them.
 *
 *     npm run bench -- commit [--rounds 4] [--seconds 4] [--scale 10] [--clients 1,16]
 */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { execa } from "execa";
import { runOn } from "../test/support/compute_on.ts";
import { startServer, type TestServer } from "../test/support/postgres.ts";
import { TestStore } from "../test/support/store.ts";
import { temporaryDirectory } from "../test/support/temp_directory.ts";
import { until } from "../test/support/until.ts";
import { fillTables, serverWithTools, transactionsPerSecond } from "./pgbench.ts";
import { median, printTable } from "./statistics.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "4" },
    seconds: { type: "string", default: "4" },
    scale: { type: "string", default: "10" },
    clients: { type: "string", default: "1,16" },
  },
});
const clientCounts = values.clients.split(",").map(Number);
// On a disk: in memory fsync costs nothing.
process.env.TMPDIR ??= tmpdir();
const server = serverWithTools();
const NOT_SYNCED = { fsync: "off", full_page_writes: "off", wal_recycle: "off", max_wal_size: "256MB" };

await using stack = new AsyncDisposableStack();

async function local(settings: Readonly<Record<string, string>>): Promise<TestServer> {
  return stack.use(await startServer({ installation: server, settings }));
}

const synced = await local({ fsync: "on" });
const unsynced = await local({ fsync: "off" });
const received = await local(NOT_SYNCED);
await receive(received);
const store = stack.use(await TestStore.start());
const ours = stack.use(await runOn(await store.timeline(server.major), { pgbin: server.postgres }));

const setups = [
  { name: "local, fsync=on", port: synced.port },
  { name: "local, fsync=off (nothing is durable)", port: unsynced.port },
  { name: "fsync=off + pg_receivewal --synchronous", port: received.port },
  { name: "ours: compute_ctl + neon-store", port: ours.postgresPort },
];
for (const { port } of setups) await fillTables({ server, port }, Number(values.scale));

for (const clients of clientCounts) {
  const samples = setups.map((): number[] => []);
  for (let round = 0; round < Number(values.rounds); round++)
    for (const [index, { port }] of setups.entries())
      samples[index]?.push(await transactionsPerSecond({ server, port }, clients, Number(values.seconds)));
  const [base = Number.NaN, , yardstick = Number.NaN] = samples.map(median);
  printTable(
    `pgbench -N, ${clients} client(s), PostgreSQL ${server.version}, ${values.rounds} rounds of ${values.seconds} s`,
    [
      ["", "tps (median)", "range", "to fsync=on", "to pg_receivewal"],
      ...setups.map(({ name }, index) => {
        const own = samples[index] ?? [];
        const [low, high] = [Math.min(...own), Math.max(...own)].map(Math.round);
        const ratio = (to: number): string => (median(own) / to).toFixed(2);
        return [name, Math.round(median(own)).toString(), `${low}-${high}`, ratio(base), ratio(yardstick)];
      }),
    ],
  );
}

/** Makes pg_receivewal the server's synchronous standby. */
async function receive(standby: TestServer): Promise<void> {
  const { path } = stack.use(await temporaryDirectory());
  const dsn = `host=127.0.0.1 port=${standby.port} user=cloud_admin application_name=receiver`;
  const argv = ["-D", path, "-S", "receiver", "-d", dsn];
  await execa(join(server.binDir, "pg_receivewal"), ["--create-slot", ...argv]);
  const receiver = execa(join(server.binDir, "pg_receivewal"), ["--synchronous", "--no-loop", ...argv], {
    reject: false,
  });
  stack.defer(async () => {
    receiver.kill("SIGINT");
    await receiver;
  });
  await standby.query("ALTER SYSTEM SET synchronous_standby_names = 'receiver'");
  await standby.query("SELECT pg_reload_conf()");
  const isSync = "SELECT true AS yes FROM pg_stat_replication WHERE sync_state = 'sync'";
  await until(async () => (await standby.query(isSync)).length > 0);
}
