import { randomBytes } from "node:crypto";
import { appendFile, chmod, mkdir, rename, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import type { Client, QueryResultRow } from "pg";
import { test } from "vitest";
import { usableBy } from "../../src/postgres/copied_binaries.ts";
import { type PostgresInstallation, SUPPORTED_MAJORS } from "../../src/postgres/installation.ts";
import { locateAllPostgres } from "../../src/postgres/locate.ts";
import { type Postmaster, startPostmaster } from "../../src/postgres/postmaster.ts";
import { waitUntilReady } from "../../src/postgres/readiness.ts";
import { choosePostgresUser, type RunAs } from "../../src/postgres/run_as.ts";
import { connectAsAdmin } from "../../src/postgres/session.ts";
import { initdb } from "../../src/postgres/tools.ts";
import { freePort } from "./free_port.ts";
import { temporaryDirectory } from "./temp_directory.ts";

const env = process.env;

/** Who runs Postgres in tests: `postgres` or `nobody` while we are root, else undefined: ourselves. */
export const runAs: RunAs | undefined = await choosePostgresUser({ uid: process.geteuid?.() ?? -1, env });

const found = await Promise.all(
  (await locateAllPostgres({ env })).map((installation) => usableBy(installation, runAs, { env })),
);

/** Every supported major that this machine has, highest first, usable by {@link runAs}. */
export function installations(): readonly PostgresInstallation[] {
  return found;
}

/** The installation of one major; the highest without one. Throws when it is not there. */
export function installation(major?: number): PostgresInstallation {
  const wanted = found.find((each) => major === undefined || each.major === major);
  if (wanted === undefined) throw new Error(`this machine has no PostgreSQL ${major ?? ""}: run npm ci`);
  return wanted;
}

/** Registers one test a major; a major that is missing here shows as skipped. */
export function forEachMajor(title: string, body: (installation: PostgresInstallation) => Promise<void>): void {
  for (const major of SUPPORTED_MAJORS) {
    const wanted = found.find((each) => each.major === major);
    test.skipIf(wanted === undefined)(`${title} (PostgreSQL ${major})`, async () => {
      if (wanted !== undefined) await body(wanted);
    });
  }
}

/**
 * A data directory that initdb made, once a run for each installation and name of the superuser. Nobody may start it:
 * {@link copyCluster} it.
 */
export async function templateCluster(server: PostgresInstallation, superuser = "cloud_admin"): Promise<string> {
  const templates = env.NEON_LOCAL_TEST_TEMPLATES ?? tmpdir();
  const template = join(templates, `${server.buildId}-${superuser}`);
  if (await exists(template)) return template;
  const fresh = `${template}.${randomBytes(4).toString("hex")}`;
  await initdb({ installation: server, directory: fresh, env, runAs, superuser, auth: "trust", durable: false });
  // Another worker may have been faster: a directory with content is not replaced.
  await rename(fresh, template).catch(() => rm(fresh, { recursive: true }));
  return template;
}

/** Makes `pgdata` a fresh data directory of its own, with the settings appended to `postgresql.conf`. */
export async function copyCluster(
  server: PostgresInstallation,
  pgdata: string,
  options: { readonly settings?: Readonly<Record<string, string | number>>; readonly superuser?: string } = {},
): Promise<void> {
  await execa("cp", ["-a", await templateCluster(server, options.superuser), pgdata]);
  const lines = Object.entries(options.settings ?? {}).map(
    ([name, value]) => `${name} = '${String(value).replaceAll("'", "''")}'`,
  );
  await appendFile(join(pgdata, "postgresql.conf"), `\n${lines.join("\n")}\n`);
}

/** A server of a test; disposing of it stops it and removes everything. */
export interface TestServer extends AsyncDisposable {
  readonly installation: PostgresInstallation;
  readonly postmaster: Postmaster;
  /** Directory of PGDATA and the socket. */
  readonly directory: string;
  readonly pgdata: string;
  readonly port: number;
  /** `postgresql://cloud_admin@127.0.0.1:<port>/postgres`. */
  readonly connstr: string;
  /** All records of its log so far. */
  readonly log: readonly string[];
  /** Opens a session of the superuser; `await using` is not needed, a stopped server ends it. */
  connect(database?: string): Promise<Client>;
  /** Runs one statement in a session of its own. */
  query<Row extends QueryResultRow>(sql: string, database?: string): Promise<Row[]>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Starts a fresh server on a free port of the loopback interface, without fsync, everyone trusted. Settings are written to
 * `postgresql.conf`.
 */
export async function startServer(
  options: {
    readonly installation?: PostgresInstallation;
    readonly settings?: Readonly<Record<string, string | number>>;
    readonly extraArgs?: readonly string[];
  } = {},
): Promise<TestServer> {
  const server = options.installation ?? installation(17);
  await using stack = new AsyncDisposableStack();
  const { path: directory } = stack.use(await temporaryDirectory({ owner: runAs }));
  const pgdata = join(directory, "pgdata");
  const socketDirectory = join(directory, "socket");
  await mkdir(socketDirectory);
  await chmod(socketDirectory, 0o777);
  const port = await freePort();
  await copyCluster(server, pgdata, {
    settings: {
      listen_addresses: "127.0.0.1",
      port,
      unix_socket_directories: socketDirectory,
      fsync: "off",
      log_line_prefix: "%m [%p] ",
      ...options.settings,
    },
  });
  const log: string[] = [];
  const postmaster = stack.use(
    await startPostmaster({
      installation: server,
      pgdata,
      env,
      runAs,
      stdio: "ignore",
      onRecord: (record) => log.push(record),
      ...(options.extraArgs === undefined ? {} : { extraArgs: options.extraArgs }),
    }),
  );
  await waitUntilReady(postmaster);
  const connstr = `postgresql://cloud_admin@127.0.0.1:${port}/postgres`;
  const connect = (database?: string): Promise<Client> =>
    connectAsAdmin({ connstr, applicationName: "test", ...(database === undefined ? {} : { database }) });
  const resources = stack.move();
  return {
    installation: server,
    postmaster,
    directory,
    pgdata,
    port,
    connstr,
    log,
    connect,
    query: async <Row extends QueryResultRow>(sql: string, database?: string) => {
      const client = await connect(database);
      try {
        return (await client.query<Row>(sql)).rows;
      } finally {
        await client.end();
      }
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}
