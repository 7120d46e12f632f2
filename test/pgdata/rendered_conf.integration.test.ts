import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { execa } from "execa";
import { describe, expect, onTestFinished, test } from "vitest";
import { updatePgHba } from "../../src/pgdata/auth_files.ts";
import { commentOut } from "../../src/pgdata/comment_out.ts";
import { writePostgresqlConf } from "../../src/pgdata/conf_file.ts";
import { parseConfigComplaints } from "../../src/pgdata/config_complaints.ts";
import { claimDirectory } from "../../src/pgdata/data_directory.ts";
import { linkSharedMemory, removeSharedMemory } from "../../src/pgdata/dynshmem.ts";
import { type PostgresqlConfInput, renderPostgresqlConf } from "../../src/pgdata/postgresql_conf.ts";
import { readProcess } from "../../src/pgdata/read_process.ts";
import { type ServerStrategy, serverStrategy } from "../../src/pgdata/server_strategy.ts";
import { type TlsPair, writeTlsPair } from "../../src/pgdata/tls_files.ts";
import type { PostgresInstallation } from "../../src/postgres/installation.ts";
import { type Postmaster, startPostmaster } from "../../src/postgres/postmaster.ts";
import { waitUntilReady } from "../../src/postgres/readiness.ts";
import { connectAsAdmin } from "../../src/postgres/session.ts";
import { freePort } from "../support/free_port.ts";
import { copyCluster, forEachMajor, installation, runAs } from "../support/postgres.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";
import { BARE, FULL, raw, text } from "./conf_inputs.ts";
import { selfSigned } from "./self_signed.ts";

const env = process.env;

/** Without TLS: its files would have to be there. */
const FULL_WITHOUT_TLS: PostgresqlConfInput = { ...FULL, tls: false };

async function strategyOf(server: PostgresInstallation): Promise<ServerStrategy> {
  const names = (await readdir(server.pkglibdir)).map((name) => name.replace(/\.(?:so|dylib)$/, ""));
  return serverStrategy({ kind: "stock", libraries: new Set(names), durability: "none" });
}

/** A directory of the server's user, gone after the test. */
async function ownedDirectory(): Promise<string> {
  const directory = await temporaryDirectory({ owner: runAs });
  onTestFinished(() => directory[Symbol.asyncDispose]());
  return directory.path;
}

/** What `postgres -C <name>` says about a configuration: the value in force, and what it complains of. */
async function ask(
  server: PostgresInstallation,
  conf: string,
  name = "data_directory",
): Promise<{ exitCode: number | undefined; value: string; stderr: string }> {
  const pgdata = join(await ownedDirectory(), "pgdata");
  await claimDirectory(pgdata, { owner: runAs, readProcess });
  await writePostgresqlConf(pgdata, conf, runAs);
  const { exitCode, stdout, stderr } = await execa(server.postgres, ["-D", pgdata, "-C", name], {
    env: { LC_ALL: "C" },
    extendEnv: false,
    reject: false,
    stripFinalNewline: false,
    ...(runAs === undefined ? {} : { uid: runAs.uid, gid: runAs.gid }),
  });
  return { exitCode, value: stdout.replace(/\n$/, ""), stderr };
}

async function startIn(server: PostgresInstallation, pgdata: string): Promise<Postmaster> {
  const postmaster = await startPostmaster({
    installation: server,
    pgdata,
    env,
    runAs,
    stdio: "ignore",
    onRecord: () => undefined,
  });
  onTestFinished(() => postmaster[Symbol.asyncDispose]());
  await waitUntilReady(postmaster);
  return postmaster;
}

describe("real servers take what we write", () => {
  forEachMajor("postgres-config.md case 1: the full example on a stock server", async (server) => {
    const { text: conf } = renderPostgresqlConf(FULL_WITHOUT_TLS, await strategyOf(server));
    const { exitCode, stderr } = await ask(server, conf);
    expect(parseConfigComplaints(stderr)).toEqual([]);
    expect(exitCode).toBe(0);
    expect((await ask(server, conf, "shared_preload_libraries")).value).toBe("pg_stat_statements");
    expect((await ask(server, conf, "neon.tenant_id")).value).toBe(FULL.tenantId);
    expect((await ask(server, conf, "log_line_prefix")).value).toBe("%m [%p] it's ");
  });

  test("postgres-config.md case 3: a newline in a string, and every other character", async () => {
    const value = `a\nb\t\r'"\\é\\n#= %`;
    const settings = [text("cluster_name", "x\ny"), text("log_line_prefix", value), raw("work_mem", "6MB\n")];
    const { text: conf } = renderPostgresqlConf({ ...BARE, settings }, await strategyOf(installation()));
    expect((await ask(installation(), conf, "log_line_prefix")).value).toBe(value);
    expect((await ask(installation(), conf, "work_mem")).value).toBe("6144");
  });

  test("postgres-config.md case 9, postgres-config.md case 10, postgres-config.md case 11: what wins", async () => {
    const server = installation();
    const { text: conf } = renderPostgresqlConf(
      {
        ...BARE,
        postgresqlConf: "work_mem=5MB",
        fileBackedSharedMemory: true,
        settings: [
          raw("work_mem", "6MB"),
          text("neon.compute_mode", "replica"),
          raw("neon.extension_server_port", "1"),
          raw("dynamic_shared_memory_type", "posix"),
        ],
      },
      await strategyOf(server),
    );
    expect((await ask(server, conf, "work_mem")).value).toBe("6144");
    expect((await ask(server, conf, "neon.compute_mode")).value).toBe("replica");
    expect((await ask(server, conf, "neon.extension_server_port")).value).toBe("3081");
    expect((await ask(server, conf, "dynamic_shared_memory_type")).value).toBe("posix");
  });

  forEachMajor("complaints name the lines to comment out", async (server) => {
    const settings = [raw("no_such_setting", "1"), raw("work_mem", "6MB"), text("nor_this", "it's")];
    const { text: conf } = renderPostgresqlConf({ ...BARE, settings }, await strategyOf(server));
    const { exitCode, stderr } = await ask(server, conf);
    expect(exitCode).toBe(1);
    const complaints = parseConfigComplaints(stderr);
    expect(complaints.map(({ parameter }) => parameter)).toEqual(["no_such_setting", "nor_this"]);
    const lines = complaints.flatMap(({ line }) => line ?? []);
    expect(lines.map((line) => conf.split("\n")[line - 1])).toEqual(["no_such_setting = 1", "nor_this = 'it''s'"]);
    const repaired = commentOut(conf, lines, "this server does not know it");
    expect((await ask(server, repaired)).exitCode).toBe(0);

    const { stderr: values } = await ask(server, "work_mem = abc\nmax_connections = 0\n");
    expect(parseConfigComplaints(values)).toMatchObject([
      { line: null, parameter: "work_mem" },
      { line: null, parameter: "max_connections" },
    ]);
    const { stderr: syntax } = await ask(server, "port = 1\nwork_mem = 6 MB\n");
    expect(parseConfigComplaints(syntax)).toMatchObject([{ line: 2, parameter: null }]);
  });
});

describe("real servers run on it", () => {
  /** A cluster whose configuration is ours, with a few lines of the test's in front. */
  async function cluster(
    server: PostgresInstallation,
    input: PostgresqlConfInput,
  ): Promise<{ pgdata: string; connstr: string }> {
    const directory = await ownedDirectory();
    const pgdata = join(directory, "pgdata");
    await copyCluster(server, pgdata);
    const port = await freePort();
    const head = `port=${port}\nlisten_addresses='127.0.0.1,127.0.0.2'\nunix_socket_directories='${directory}'\nfsync=off`;
    const { text: conf } = renderPostgresqlConf({ ...input, postgresqlConf: head }, await strategyOf(server));
    await writePostgresqlConf(pgdata, conf, runAs);
    return { pgdata, connstr: `postgresql://cloud_admin@127.0.0.1:${port}/postgres` };
  }

  async function query(connstr: string, sql: string): Promise<unknown> {
    const client = await connectAsAdmin({ connstr, applicationName: "test" });
    try {
      return Object.values((await client.query({ text: sql, rowMode: "array" })).rows[0] ?? {})[0];
    } finally {
      await client.end();
    }
  }

  test("postgres-config.md case 39, postgres-config.md case 40: a stock server starts and commits", async () => {
    const server = installation(15);
    const settings = [
      raw("max_replication_write_lag", "500MB"),
      text("shared_preload_libraries", "neon,pg_stat_statements"),
      text("synchronous_standby_names", "walproposer"),
    ];
    const { pgdata, connstr } = await cluster(server, { ...FULL_WITHOUT_TLS, settings });
    await startIn(server, pgdata);
    expect(await query(connstr, "SHOW shared_preload_libraries")).toBe("pg_stat_statements");
    expect(await query(connstr, "SHOW neon.tenant_id")).toBe(FULL.tenantId);
    await query(connstr, "CREATE TABLE public.committed (n int)");
    expect(await query(connstr, "SELECT count(*) FROM public.committed")).toBe("0");
  });

  test.runIf(process.platform === "linux")(
    "postgres-config.md case 18: loopback needs no password, everyone else does",
    async () => {
      const server = installation(15);
      const { pgdata, connstr } = await cluster(server, BARE);
      expect(await updatePgHba(pgdata, null)).toBe(true);
      await startIn(server, pgdata);
      const port = Number(new URL(connstr).port);
      expect(await authenticationAsked(port, "127.0.0.1")).toBe("none");
      // The rules of a base backup trust 127.0.0.1/32: another loopback address is a stranger.
      expect(await authenticationAsked(port, "127.0.0.2")).toBe("password");
    },
  );

  test.runIf(process.platform === "linux")(
    "postgres-config.md case 19: a second compute leaves the first one's shared memory alone",
    async () => {
      const server = installation(15);
      const first = await cluster(server, { ...BARE, fileBackedSharedMemory: true });
      const second = await cluster(server, { ...BARE, fileBackedSharedMemory: true });
      for (const { pgdata } of [first, second]) {
        onTestFinished(() => removeSharedMemory(pgdata));
        await linkSharedMemory(pgdata, runAs);
        await startIn(server, pgdata);
      }
      for (const { connstr } of [first, second]) {
        expect(await query(connstr, "SHOW dynamic_shared_memory_type")).toBe("mmap");
      }
    },
  );

  test("TLS: the server takes the linked pair, and the next one after a reload", async () => {
    const server = installation(15);
    const { pgdata, connstr } = await cluster(server, { ...BARE, tls: true });
    const port = Number(new URL(connstr).port);
    const [first, second] = [newPair(), newPair()];
    await writeTlsPair(pgdata, first, runAs);
    const postmaster = await startIn(server, pgdata);
    expect(await presentedCertificate(port)).toBe(new X509Certificate(first.certificate).fingerprint256);
    await writeTlsPair(pgdata, second, runAs);
    postmaster.kill("SIGHUP");
    await expect
      .poll(() => presentedCertificate(port), { timeout: 10_000 })
      .toBe(new X509Certificate(second.certificate).fingerprint256);
  });

  test("a running server's directory is not claimed, a stopped one's is", async () => {
    const server = installation(15);
    const { pgdata } = await cluster(server, BARE);
    const postmaster = await startIn(server, pgdata);
    await expect(claimDirectory(pgdata, { owner: runAs, readProcess })).rejects.toMatchObject({
      code: "pgdata_in_use",
      message: expect.stringContaining(`pid ${postmaster.pid}`),
    });
    await postmaster.stop("immediate");
    await claimDirectory(pgdata, { owner: runAs, readProcess });
    expect(await readdir(join(pgdata, "global"))).not.toContain("pg_control");
  });
});

function newPair(): TlsPair {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return {
    certificate: selfSigned(publicKey, privateKey),
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

/** The fingerprint of the certificate that a server shows to a new connection. */
async function presentedCertificate(port: number): Promise<string> {
  const socket = connect({ port, host: "127.0.0.1" });
  try {
    const request = Buffer.alloc(8);
    request.writeInt32BE(8);
    request.writeInt32BE(80877103, 4);
    socket.write(request);
    const [answer] = (await once(socket, "data")) as [Buffer];
    expect(answer.toString()).toBe("S");
    const secure = connectTls({ socket, rejectUnauthorized: false });
    await once(secure, "secureConnect");
    return secure.getPeerCertificate().fingerprint256;
  } finally {
    socket.destroy();
  }
}

/** Says hello from `address` and looks at the first answer only. */
async function authenticationAsked(port: number, address: string): Promise<"none" | "password"> {
  const socket = connect({ port, host: address, localAddress: address });
  try {
    const parameters = Buffer.from("user\0cloud_admin\0database\0postgres\0\0");
    const hello = Buffer.alloc(8);
    hello.writeInt32BE(8 + parameters.length);
    hello.writeInt32BE(196608, 4);
    socket.write(Buffer.concat([hello, parameters]));
    let answer = Buffer.alloc(0);
    for await (const chunk of socket) {
      answer = Buffer.concat([answer, chunk]);
      if (answer.length >= 9) break;
    }
    expect(String.fromCharCode(answer[0] ?? 0)).toBe("R");
    return answer.readInt32BE(5) === 0 ? "none" : "password";
  } finally {
    socket.destroy();
  }
}
