import { once } from "node:events";
import { readFile, stat } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { beforeAll, describe, expect, test } from "vitest";
import { encodeErrorResponse } from "../../src/wire/postgres_protocol.ts";
import type { Compute } from "../support/compute_ctl.ts";
import { type ComputeOnOptions, startOn } from "../support/compute_on.ts";
import { isAlive } from "../support/processes.ts";
import { realBaseBackup } from "../support/real_base_backup.ts";
import { copyAnswer, copyStart, tarDirectory, tarFile } from "../support/sample_base_backup.ts";
import { type ScriptedLibpqOptions, startLibpqServer } from "../support/scripted_libpq_server.ts";
import { grpcStatus, startPageService } from "../support/scripted_page_service.ts";
import { type ScriptedPostgresOptions, scriptedPostgres } from "../support/scripted_postgres.ts";
import { type SafekeeperState, startSafekeeper } from "../support/scripted_safekeeper.ts";
import { type Storage, useStore } from "../support/store.ts";
import { until } from "../support/until.ts";

const TENANT = "1".repeat(32);
const TIMELINE = "2".repeat(32);
const QUERY = `basebackup ${TENANT} ${TIMELINE}`;
const RETRIES = "NEON_COMPUTE_TESTING_BASEBACKUP_RETRIES";
const FAILED_SYNC = { sync: "exit 1" };
const SYNC_AT_100 = { sync: "echo 0/100" };
/** A full sync that nobody wanted shows at once. */
const OTHER_SYNC = { sync: "echo 0/DEAD" };

/** A base backup from which Postgres 17 starts, gzip'ed. */
let backup: Buffer;
beforeAll(async () => {
  backup = await realBaseBackup();
});

const at = (flush: string, commit = flush): SafekeeperState => ({ flush, commit });
const diskOnFire = encodeErrorResponse({ severity: "ERROR", code: "XX000", message: "disk on fire" });

interface ScriptedStart extends ComputeOnOptions {
  /** Three at 0/100 unless told. */
  readonly safekeepers?: readonly SafekeeperState[];
  readonly pageserver?: ScriptedLibpqOptions;
  /** Instead of the pageserver's own. */
  readonly url?: (port: number) => string;
  /** What Neon's Postgres does; unless told, every full sync fails. */
  readonly postgres?: ScriptedPostgresOptions;
}

/** A compute with Neon's kind of server over storage that says what a test tells it to. */
async function startScripted(options: ScriptedStart) {
  const { safekeepers = [at("0/100"), at("0/100"), at("0/100")], postgres = FAILED_SYNC, more, ...rest } = options;
  const stack = new AsyncDisposableStack();
  const keepers = await Promise.all(safekeepers.map((state) => startSafekeeper(state)));
  for (const keeper of keepers) stack.use(keeper);
  const pageserver = stack.use(await startLibpqServer(options.pageserver ?? { answer: () => copyAnswer(backup) }));
  const server = stack.use(await scriptedPostgres(postgres));
  const url = options.url ?? ((port) => `postgresql://no_user@127.0.0.1:${port}`);
  const storage: Storage = {
    tenantId: TENANT,
    timelineId: TIMELINE,
    pageserver: { libpq_url: url(pageserver.port) },
    safekeepers: keepers.map(({ port }) => `127.0.0.1:${port}`),
  };
  const compute = stack.use(
    await startOn(storage, { pgbin: server.pgbin, more: { skip_pg_catalog_updates: true, ...more }, ...rest }),
  );
  return {
    compute,
    pageserver,
    server,
    storage,
    queries: () => pageserver.sessions.map(({ query }) => query),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** Waits until the pageserver was asked. */
async function asked(queries: () => string[]): Promise<void> {
  await until(() => queries().length > 0);
}

/** A pageserver that takes a query and never answers. */
const silent: ScriptedLibpqOptions = { answer: () => undefined };

// One after the other: the check's budget of 100 ms is part of the contract, and a busy machine may need longer.
describe("which LSN is asked for without a full sync", () => {
  test("lifecycle.md case 24: three safekeepers at one LSN: no full sync, and that LSN", { retry: 5 }, async () => {
    await using all = await startScripted({ postgres: OTHER_SYNC });
    await all.compute.reach("running");
    expect(all.queries()).toEqual([`${QUERY} 0/100 --gzip`]);
    expect(await all.server.syncs()).toEqual([]);
    expect(await all.compute.startupMetrics()).toMatchObject({ sync_safekeepers_ms: 0 });
    expect(await all.compute.query("SELECT 1")).toBe(1);
    expect(await all.compute.query("SHOW neon.safekeepers")).toBe(all.storage.safekeepers.join(","));
  });

  test.each<[string, SafekeeperState[], string]>([
    [
      "a primary, storage-protocols.md case 1: the LSN of the safekeepers",
      [at("0/16ABCDE")],
      `${QUERY} 0/16ABCDE --gzip`,
    ],
    ["a new timeline, storage-protocols.md case 1: 0/0 is no LSN", [at("0/0")], `${QUERY} --gzip`],
    [
      "lifecycle.md case 25, storage-protocols.md case 16: the third of three is silent, the two others decide",
      [at("0/100"), at("0/100"), "silent"],
      `${QUERY} 0/100 --gzip`,
    ],
  ])("%s", { retry: 5 }, async (_name, safekeepers, query) => {
    await using all = await startScripted({ safekeepers, pageserver: silent, postgres: OTHER_SYNC });
    await asked(all.queries);
    expect(all.queries()).toEqual([query]);
    expect(await all.server.syncs()).toEqual([]);
    expect(all.compute.output).toContain("safekeepers synced at LSN");
  });
});

describe.concurrent("which LSN is asked for otherwise", () => {
  test("lifecycle.md case 25, storage-protocols.md case 16: flush and commit differ on one of a quorum: a full sync runs", async () => {
    const safekeepers = [at("0/100"), at("0/200", "0/100"), at("0/200", "0/100")];
    await using all = await startScripted({ safekeepers, pageserver: silent, postgres: { sync: "echo 0/200" } });
    await asked(all.queries);
    expect(all.queries()).toEqual([`${QUERY} 0/200 --gzip`]);
    expect(await all.server.syncs()).toHaveLength(1);
  });

  test("lifecycle.md case 26: a full sync that fails twice is repeated", async () => {
    const sync = "[ $n -gt 2 ] || exit 1\n  echo 0/200";
    await using all = await startScripted({ safekeepers: ["unknown"], pageserver: silent, postgres: { sync } });
    await asked(all.queries);
    expect(all.queries()).toEqual([`${QUERY} 0/200 --gzip`]);
    expect(await all.server.syncs()).toHaveLength(3);
    expect(all.compute.output).toMatch(/ INFO .*sync_safekeepers failed, will retry \(attempt 2\): /);
  });

  test("lifecycle.md case 27: a full sync that always fails: six runs, failed, and no seventh", async () => {
    await using all = await startScripted({ safekeepers: ["unknown"] });
    expect(await all.compute.failure()).toContain("failed to sync safekeepers");
    await all.compute.stop();
    expect(await all.server.syncs()).toHaveLength(6);
    expect(await all.server.starts()).toEqual([]);
    expect(all.queries()).toEqual([]);
  });

  test("lifecycle.md case 28, storage-protocols.md case 1: a replica: no sync, no LSN, --replica, standby.signal", async () => {
    await using all = await startScripted({ safekeepers: ["unknown"], more: { mode: "Replica" } });
    await all.compute.reach("running");
    expect(all.queries()).toEqual([`${QUERY} --gzip --replica`]);
    expect(all.pageserver.sessions[0]?.parameters.get("options")).toBe("-c neon.compute_mode=replica");
    expect((await stat(join(all.compute.pgdata, "standby.signal"))).size).toBe(0);
    expect(await all.compute.query("SELECT pg_is_in_recovery()")).toBe(true);
    expect(await all.server.syncs()).toEqual([]);
    const answer = await all.compute.request("/terminate?mode=immediate", { method: "POST" });
    // lifecycle.md case 54
    expect([answer.status, await answer.json()]).toEqual([200, { lsn: null }]);
    expect(await all.compute.exited).toEqual({ code: 0, signal: null });
    expect(await all.server.syncs()).toEqual([]);
  });

  test("lifecycle.md case 29, storage-protocols.md case 1: a static compute: its LSN and --replica", async () => {
    await using all = await startScripted({
      safekeepers: ["unknown"],
      pageserver: silent,
      more: { mode: { Static: "0/300" } },
    });
    const queries = { basebackup: `${QUERY} 0/300 --gzip --replica`, lease: `lease lsn ${TENANT} ${TIMELINE} 0/300` };
    await until(() => Object.values(queries).every((query) => all.queries().some((asked) => asked.trim() === query)));
    expect(await all.server.syncs()).toEqual([]);
  });
});

/** One shard that gRPC reaches, for a compute that asks no safekeeper. */
async function startGrpc(url: string, env: NodeJS.ProcessEnv): Promise<Compute> {
  const storage: Storage = {
    tenantId: TENANT,
    timelineId: TIMELINE,
    pageserver: { grpc_url: url },
    safekeepers: [],
  };
  return await startOn(storage, { more: { mode: "Replica" }, env });
}

describe.concurrent("a base backup that fails", () => {
  const safekeepers = [at("0/100")];

  test("storage-protocols.md case 2: half a gzip tar, then an error: repeated after 500 and 750 ms, then the start fails", async () => {
    const half = backup.subarray(0, backup.length / 2);
    const times: number[] = [];
    await using all = await startScripted({
      pageserver: {
        answer: () => {
          times.push(performance.now());
          return Buffer.concat([copyStart(half), diskOnFire]);
        },
      },
      safekeepers,
      env: { [RETRIES]: "2" },
      postgres: SYNC_AT_100,
    });
    const error = await all.compute.failure();
    expect(error).toContain("failed to get basebackup@0/100");
    expect(error).toContain("disk on fire");
    expect(all.queries()).toEqual(Array(3).fill(`${QUERY} 0/100 --gzip`));
    const [first = 0, second = 0, third = 0] = times;
    expect(second - first).toBeGreaterThanOrEqual(495);
    expect(third - second).toBeGreaterThanOrEqual(745);
    expect(all.compute.output).toMatch(/ WARN .*Failed to get basebackup: .*disk on fire.* \(attempt 1\/2\)/);
    expect(await all.server.starts()).toEqual([]);
    await expect(stat(join(all.compute.pgdata, "global/pg_control"))).rejects.toMatchObject({ code: "ENOENT" });
  });

  test.each<[string, (first: boolean) => Buffer, boolean]>([
    [
      "lifecycle.md case 30: an error behind a complete tar",
      (first) => (first ? Buffer.concat([copyStart(backup), diskOnFire]) : copyAnswer(backup)),
      false,
    ],
    [
      "storage-protocols.md case 3: a complete tar, and then the connection is cut",
      (first) => (first ? copyStart(backup) : copyAnswer(backup)),
      true,
    ],
  ])("%s: the try fails and is repeated", async (_name, answer, cut) => {
    await using all = await startScripted({
      pageserver: {
        answer: (session, index) => {
          const bytes = answer(index === 0);
          if (index > 0 || !cut) return bytes;
          session.socket.end(bytes);
          return undefined;
        },
      },
      safekeepers,
      postgres: SYNC_AT_100,
    });
    await all.compute.reach("running");
    expect(all.queries()).toHaveLength(2);
    expect(await all.server.starts()).toHaveLength(1);
    expect(await all.compute.query("SELECT 1")).toBe(1);
  });

  test("lifecycle.md case 31: a dead pageserver and one retry: two attempts half a second apart, then failed", async () => {
    const attempts: number[] = [];
    const dead = createServer((socket) => {
      attempts.push(performance.now());
      socket.destroy();
    }).listen(0, "127.0.0.1");
    await once(dead, "listening");
    const { port } = dead.address() as AddressInfo;
    await using all = await startScripted({
      url: () => `postgresql://no_user@127.0.0.1:${port}`,
      safekeepers,
      env: { [RETRIES]: "1" },
      postgres: SYNC_AT_100,
    });
    expect(await all.compute.failure()).toContain("failed to get basebackup@0/100");
    expect(attempts).toHaveLength(2);
    // The first may have begun while the safekeepers were asked.
    expect((attempts[1] ?? 0) - (attempts[0] ?? 0)).toBeGreaterThanOrEqual(495);
    dead.close();
  });

  test("storage-protocols.md case 12: an error status behind two chunks of gRPC fails the try", async () => {
    await using service = await startPageService({
      baseBackup: async (call) => {
        call.write({ chunk: backup.subarray(0, 1000) });
        call.write({ chunk: backup.subarray(1000, 2000) });
        await delay(1);
        throw grpcStatus(14, "disk on fire");
      },
    });
    await using compute = await startGrpc(service.url, { [RETRIES]: "1" });
    const error = await compute.failure();
    expect(error).toContain("failed to get basebackup");
    expect(error).toContain("disk on fire");
    expect(service.calls).toHaveLength(2);
    expect(service.calls[0]?.metadata).toMatchObject({ "neon-tenant-id": TENANT, "neon-timeline-id": TIMELINE });
  });
});

describe.concurrent("what a tar may hold", () => {
  test("storage-protocols.md case 4: a directory twice, a postgresql.conf of its own: ours stays", async () => {
    const first = [
      tarDirectory("base"),
      tarDirectory("base/1"),
      tarFile("base/1/PG_VERSION", "17"),
      tarFile("postgresql.conf", "port = 1\n"),
      tarFile("PG_VERSION", "17"),
    ];
    const packed = await realBaseBackup(Buffer.concat(first));
    await using all = await startScripted({
      pageserver: { answer: () => copyAnswer(packed, 50) },
      postgres: SYNC_AT_100,
    });
    await all.compute.reach("running");
    expect(await readFile(join(all.compute.pgdata, "postgresql.conf"), "utf8")).toContain("neon.tenant_id");
    expect(await all.compute.query("SHOW port")).toBe(String(all.compute.postgresPort));
    expect((await stat(all.compute.pgdata)).mode & 0o7777).toBe(0o700);
  });

  test("storage-protocols.md case 5, postgres-config.md case 17: zenith.signal becomes neon.signal", async () => {
    const packed = await realBaseBackup(tarFile("zenith.signal", "PREV LSN: 0/100"));
    await using all = await startScripted({
      pageserver: { answer: () => copyAnswer(packed) },
      postgres: SYNC_AT_100,
    });
    await all.compute.reach("running");
    expect(await readFile(join(all.compute.pgdata, "neon.signal"), "utf8")).toBe("PREV LSN: 0/100");
  });

  test("storage-protocols.md case 6: a pageserver with tokens gets the spec's, whatever its URL says", async () => {
    await using all = await startScripted({
      pageserver: { auth: "jwt", answer: () => copyAnswer(backup) },
      url: (port) => `postgresql://no_user:from-url@127.0.0.1:${port}`,
      more: { storage_auth_token: "from-spec" },
      postgres: { sync: 'echo "$NEON_AUTH_TOKEN" > $dir/token; echo 0/100' },
      safekeepers: ["unknown"],
    });
    await all.compute.reach("running");
    expect(all.pageserver.sessions.map(({ password }) => password)).toEqual(["from-spec"]);
    expect(all.pageserver.sessions[0]?.parameters.get("application_name")).toBe("compute_ctl");
    // lifecycle.md case 36
    expect(await readFile(join(all.server.directory, "token"), "utf8")).toBe("from-spec\n");
  });
});

describe.concurrent("the end of a compute whose Postgres is Neon's", () => {
  const running = async (postgres: ScriptedPostgresOptions) => {
    const all = await startScripted({ postgres });
    await all.compute.reach("running");
    return all;
  };
  /** Works at the start and, when Postgres ends, does the given. */
  const atShutdown = (commands: string): ScriptedPostgresOptions => ({
    sync: `if [ -s $dir/starts ]; then ${commands}; fi\n  echo 0/100`,
  });

  test("its LSN is the one of the shutdown sync", async () => {
    await using all = await running(atShutdown("echo 0/ABC0; exit"));
    const answer = await all.compute.request("/terminate?mode=immediate", { method: "POST" });
    expect([answer.status, await answer.json()]).toEqual([200, { lsn: "0/ABC0" }]);
    expect(await all.compute.exited).toEqual({ code: 0, signal: null });
  });

  test("lifecycle.md case 61: the shutdown sync fails: 500 and exit code 1", async () => {
    await using all = await running(atShutdown("exit 3"));
    const answer = await all.compute.request("/terminate?mode=immediate", { method: "POST" });
    expect([answer.status, await answer.json()]).toEqual([500, { error: expect.stringContaining("sync") }]);
    expect(await all.compute.exited).toEqual({ code: 1, signal: null });
  });

  test("lifecycle.md case 69: SIGTERM while /terminate waits for a sync without majority: 500, exit code 1", async () => {
    await using all = await running(atShutdown("exec sleep 1000"));
    const before = (await all.server.syncs()).length;
    const answering = all.compute.request("/terminate", { method: "POST" });
    await until(async () => (await all.server.syncs()).length === before + 1);
    const began = performance.now();
    expect(await all.compute.stop()).toEqual({ code: 1, signal: null });
    expect(performance.now() - began).toBeLessThan(9_000);
    expect((await answering).status).toBe(500);
    const [pid = 0] = (await all.server.syncs()).slice(-1);
    expect(await isAlive(pid)).toBe(false);
  });

  test("lifecycle.md case 58: SIGTERM while the first sync runs: exit code 1, and the sync is gone", async () => {
    await using all = await startScripted({ safekeepers: ["silent"], postgres: { sync: "exec sleep 1000" } });
    await until(async () => (await all.server.syncs()).length === 1);
    const began = performance.now();
    expect(await all.compute.stop()).toEqual({ code: 1, signal: null });
    expect(performance.now() - began).toBeLessThan(9_000);
    const [pid = 0] = await all.server.syncs();
    expect(await isAlive(pid)).toBe(false);
  });
});

const store = useStore();

test("reconcile.md case 3: a replica and a static compute over the embedded store answer queries, and no catalog work reaches them", async () => {
  const storage = await store().timeline();
  const info = await store().call("GET", `/v1/tenant/${storage.tenantId}/timeline/${storage.timelineId}`);
  const lsn = String(info.last_record_lsn);
  for (const mode of ["Replica", { Static: lsn }]) {
    await using compute = await startOn(storage, { more: { mode }, settings: { log_statement: "all" } });
    await compute.reach("running");
    expect(await compute.query("SELECT pg_is_in_recovery()")).toBe(true);
    await expect(compute.query("CREATE TABLE t ()")).rejects.toMatchObject({ code: "25006" });
    expect(await (await compute.request("/reconcile")).json()).toBeNull();
    expect(compute.output).not.toMatch(/statement: .*(health_check|neon_superuser)/);
  }
});
