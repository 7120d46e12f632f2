// Starts a server on a data directory, records it and prints its pid; stays until it is killed.
import { writePostmasterRecord } from "../../../src/postgres/leftover.ts";
import { startPostmaster } from "../../../src/postgres/postmaster.ts";
import { waitUntilReady } from "../../../src/postgres/readiness.ts";
import type { RunAs } from "../../../src/postgres/run_as.ts";

const [postgres = "", pgdata = "", user = "null"] = process.argv.slice(2);
const postmaster = await startPostmaster({
  installation: { postgres },
  pgdata,
  env: process.env,
  runAs: (JSON.parse(user) as RunAs | null) ?? undefined,
  stdio: "ignore",
  onRecord: () => {},
});
await writePostmasterRecord(pgdata, postmaster.pid);
await waitUntilReady(postmaster);
process.stdout.write(`${postmaster.pid}\n`);
