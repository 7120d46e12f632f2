import { execFile } from "node:child_process";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { QueryResultRow } from "pg";
import type { PostgresInstallation } from "../../src/postgres/installation.ts";
import { startPostmaster } from "../../src/postgres/postmaster.ts";
import { waitUntilReady } from "../../src/postgres/readiness.ts";
import { connectAsAdmin } from "../../src/postgres/session.ts";
import { freePort } from "../support/free_port.ts";
import { runAs } from "../support/postgres.ts";
import { scratchRoot, temporaryDirectory } from "../support/temp_directory.ts";

const run = promisify(execFile);

/** A base backup unpacked by the system's tar into a data directory that Postgres may use. */
export async function unpack(archive: Buffer, gzip = false): Promise<UnpackedBackup> {
  const directory = await temporaryDirectory({ owner: runAs, root: scratchRoot() });
  const pgdata = join(directory.path, "pgdata");
  const file = join(directory.path, "backup.tar");
  await writeFile(file, archive);
  await mkdir(pgdata);
  await run("tar", [gzip ? "-xzf" : "-xf", file, "-C", pgdata, "--no-same-owner"]);
  const { stdout } = await run("tar", [gzip ? "-tzf" : "-tf", file]);
  return new UnpackedBackup(directory, pgdata, stdout.trim().split("\n"));
}

export class UnpackedBackup implements AsyncDisposable {
  readonly pgdata: string;
  /** Names in the archive, in its order. */
  readonly members: readonly string[];
  /** All that the servers wrote. */
  readonly log: string[] = [];
  readonly #directory: AsyncDisposable & { readonly path: string };

  constructor(directory: AsyncDisposable & { readonly path: string }, pgdata: string, members: readonly string[]) {
    this.#directory = directory;
    this.pgdata = pgdata;
    this.members = members;
  }

  async read(path: string): Promise<Buffer> {
    return await readFile(join(this.pgdata, path));
  }

  /** Starts a real server on it, runs statements one by one, and stops it; the rows of the last one. */
  async runSql<Row extends QueryResultRow>(
    installation: PostgresInstallation,
    statements: readonly string[],
    stop: "fast" | "immediate" = "fast",
  ): Promise<Row[]> {
    return (await this.runEach<Row>(installation, statements, stop)).at(-1) ?? [];
  }

  /** As {@link runSql}, with the rows of every statement. */
  async runEach<Row extends QueryResultRow>(
    installation: PostgresInstallation,
    statements: readonly string[],
    stop: "fast" | "immediate" = "fast",
  ): Promise<Row[][]> {
    const port = await freePort();
    await writeFile(
      join(this.pgdata, "postgresql.conf"),
      `listen_addresses = '127.0.0.1'\nport = ${port}\nunix_socket_directories = ''\nfsync = off\n`,
    );
    await run("chown", ["-R", runAs ? `${runAs.uid}:${runAs.gid}` : `${process.getuid?.()}`, this.pgdata]);
    await chmod(this.pgdata, 0o700);
    await using postmaster = await startPostmaster({
      installation,
      pgdata: this.pgdata,
      env: process.env,
      runAs,
      stdio: "ignore",
      onRecord: (record) => this.log.push(record),
    });
    await waitUntilReady(postmaster);
    const client = await connectAsAdmin({
      connstr: `postgresql://cloud_admin@127.0.0.1:${port}/postgres`,
      applicationName: "test",
    });
    // A server that is told to stop ends its sessions.
    client.on("error", () => undefined);
    const rows: Row[][] = [];
    try {
      for (const statement of statements) rows.push((await client.query<Row>(statement)).rows);
    } finally {
      if (stop === "fast") await client.end();
      await postmaster.stop(stop);
    }
    return rows;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#directory[Symbol.asyncDispose]();
  }
}
