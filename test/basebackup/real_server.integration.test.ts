import { cp, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { expect, test } from "vitest";
import { LibpqSession } from "../../src/basebackup/libpq_session.ts";
import { unpackBaseBackup } from "../../src/basebackup/unpack.ts";
import { startPostmaster } from "../../src/postgres/postmaster.ts";
import { waitUntilReady } from "../../src/postgres/readiness.ts";
import { freePort } from "../support/free_port.ts";
import { installation, runAs, startServer, templateCluster } from "../support/postgres.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";

const limits = { connectTimeoutMs: 10_000, idleTimeoutMs: 10_000 };

test("LibpqSession speaks to a real server: rows, NULL, notices, COPY of more than the buffers hold, errors", async () => {
  await using server = await startServer();
  const connect = () =>
    LibpqSession.connect({ ...limits, connectionString: server.connstr, signal: new AbortController().signal });
  const session = await connect();
  await session.query("DO $$ BEGIN RAISE NOTICE 'hello'; END $$");
  expect(await session.query("SELECT 1 AS a, NULL::text AS b, 'ä' AS c")).toEqual({
    columns: ["a", "b", "c"],
    rows: [["1", null, "ä"]],
  });
  expect(await session.query("")).toEqual({ columns: [], rows: [] });
  let bytes = 0;
  for await (const chunk of session.copyOut("COPY (SELECT repeat('x', 999) FROM generate_series(1, 20000)) TO STDOUT"))
    bytes += chunk.length;
  expect(bytes).toBe(20_000_000);
  session.close();

  const failing = await connect();
  const copy = failing.copyOut("COPY (SELECT 1 / (i - 5000) FROM generate_series(1, 10000) i) TO STDOUT");
  const reading = async (): Promise<void> => {
    for await (const _ of copy);
  };
  await expect(reading()).rejects.toMatchObject({ code: "22012", severity: "ERROR", phase: "query" });
  failing.close();
});

test("a cluster that GNU tar packed starts after unpacking over an older one", async () => {
  const server = installation();
  const template = await templateCluster(server);
  await using directory = await temporaryDirectory({ owner: runAs });
  const pgdata = join(directory.path, "pgdata");
  await mkdir(pgdata, { mode: 0o700 });
  const owner = runAs && { uid: runAs.uid, gid: runAs.gid };
  if (owner) await execa("chown", [`${owner.uid}:${owner.gid}`, pgdata]);
  for (let round = 0; round < 2; round++) {
    const tar = execa("tar", ["-C", template, "-czf", "-", "."], { encoding: "buffer", buffer: false });
    await unpackBaseBackup(tar.stdout, { pgdata, gzip: true, owner });
    await tar;
    await cp(join(template, "postgresql.conf"), join(pgdata, "postgresql.conf"));
    if (owner) await execa("chown", [`${owner.uid}:${owner.gid}`, join(pgdata, "postgresql.conf")]);
    await using postmaster = await startPostmaster({
      installation: server,
      pgdata,
      env: process.env,
      runAs,
      stdio: "ignore",
      onRecord: () => undefined,
      extraArgs: [
        "-c",
        `port=${await freePort()}`,
        "-c",
        "listen_addresses=127.0.0.1",
        "-c",
        `unix_socket_directories=${directory.path}`,
      ],
    });
    await waitUntilReady(postmaster);
  }
});
