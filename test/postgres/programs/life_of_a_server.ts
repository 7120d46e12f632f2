// Everything that a user who is not root does with a server, in the directory of the argument; prints what came out as JSON.
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { errorCode } from "../../../src/errors/coded_error.ts";
import { raiseCoreLimit } from "../../../src/postgres/core_limit.ts";
import { ensureLibraryLinks } from "../../../src/postgres/embedded_links.ts";
import { removePostmasterRecord, stopLeftover, writePostmasterRecord } from "../../../src/postgres/leftover.ts";
import { locatePostgres } from "../../../src/postgres/locate.ts";
import { startPostmaster } from "../../../src/postgres/postmaster.ts";
import { waitUntilReady } from "../../../src/postgres/readiness.ts";
import { choosePostgresUser } from "../../../src/postgres/run_as.ts";
import { connectAsAdmin } from "../../../src/postgres/session.ts";
import { dryRunConfig, initdb } from "../../../src/postgres/tools.ts";

const { env } = process;
const directory = process.argv[2] ?? "";
const pgdata = join(directory, "pgdata");

const runAs = await choosePostgresUser({ uid: process.geteuid?.() ?? 0, env });
const installation = await locatePostgres({ env, major: 17 });
await initdb({ installation, directory: pgdata, env, runAs, auth: "trust", durable: false });
const settings = `listen_addresses = ''\nunix_socket_directories = '${directory}'\n`;
await writeFile(join(pgdata, "postgresql.auto.conf"), settings);
const { complaints } = await dryRunConfig({ installation, pgdata, env, configFile: join(pgdata, "postgresql.conf") });
await raiseCoreLimit({ env, warn: () => {} });
const postmaster = await startPostmaster({ installation, pgdata, env, runAs, stdio: "ignore", onRecord: () => {} });
await writePostmasterRecord(pgdata, postmaster.pid);
await waitUntilReady(postmaster);
const connstr = `postgresql://x/postgres?host=${encodeURIComponent(directory)}`;
const client = await connectAsAdmin({ connstr, applicationName: "test", major: 17 });
const { rows } = await client.query<{ user: string }>('SELECT current_user AS "user"');
await client.end();
const exit = await postmaster.stop("fast");
const leftover = await stopLeftover(pgdata);
await removePostmasterRecord(pgdata);

const native = join(directory, "native");
await mkdir(join(native, "lib"), { recursive: true });
const list = [{ source: "native/lib/libx.so.1", target: "native/lib/libx.so" }];
await writeFile(join(native, "pg-symlinks.json"), JSON.stringify(list));
await chmod(join(native, "lib"), 0o555);
const links = await ensureLibraryLinks(native).catch(errorCode);
await chmod(join(native, "lib"), 0o755);

const result = { runAs: runAs ?? null, complaints, user: rows[0]?.user, leftover: leftover ?? null, exit, links };
process.stdout.write(JSON.stringify(result));
