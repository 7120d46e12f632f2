import { randomBytes } from "node:crypto";
import { readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import quickstart from "../../specs/quickstart.json" with { type: "json" };
import { replaceFile } from "../disk/atomic_file.ts";
import { CodedError, errorChain } from "../errors/coded_error.ts";
import { requireReachable } from "../postgres/access_of_user.ts";
import type { PostgresInstallation, PostgresMajor } from "../postgres/installation.ts";
import { stopLeftover } from "../postgres/leftover.ts";
import type { RunAs } from "../postgres/run_as.ts";
import { decodeComputeConfig } from "../spec/decode.ts";
import { choosePostgres } from "./choose_postgres.ts";
import { computeConfig } from "./compute_config.ts";
import { type InstanceLock, lockInstance } from "./instance_lock.ts";
import { reapLeftovers } from "./leftovers.ts";
import { Pg } from "./pg.ts";
import { choosePgPorts, type PgPorts } from "./ports.ts";
import { claimForNameless, nameForPrograms } from "./postgres_user.ts";
import { programEnvironment } from "./program_environment.ts";
import { Progress } from "./progress.ts";
import { completeQuickstart, PG, type QuickstartRecords, readQuickstart, STORAGE } from "./quickstart_records.ts";
import type { RecordReader } from "./record_file.ts";
import { type RemoteAccess, remoteAccess } from "./remote_access.ts";
import { ServiceLogs } from "./service_log.ts";
import { loadSigningKey } from "./signing_key.ts";
import { makePassableDirectory, makePostgresDirectory } from "./state_directory.ts";
import type { StateLayout } from "./state_layout.ts";
import { NativeStorage } from "./storage.ts";
import { StoreClient } from "./store_client.ts";
import type { Summary } from "./summary.ts";
import type { SupervisorOptions } from "./supervised_child.ts";

export interface ServiceOptions {
  readonly layout: StateLayout;
  readonly pgPort: number;
  /** What Postgres listens on besides loopback. */
  readonly pgHost: string;
  readonly pgVersion?: PostgresMajor;
  readonly pgBin?: string;
  readonly env: NodeJS.ProcessEnv;
  readonly uid: number;
  readonly postgresUser: RunAs | undefined;
  readonly programs: { readonly store: string; readonly compute: string };
  /** Takes one line for people. */
  readonly say: (line: string) => void;
}

/** A leftover has stopped by itself within 15 s of its service's end, or never will. */
const LEFTOVER_MS = 15_000;

/** The service of one state directory: from the lock to the last child's end. */
export class Service {
  readonly #options: ServiceOptions;
  readonly #lock: InstanceLock;
  readonly #logs: ServiceLogs;
  readonly #progress: Progress;
  readonly #supervisor: SupervisorOptions;
  #storage: NativeStorage | undefined;
  #pg: Pg | undefined;

  private constructor(options: ServiceOptions, lock: InstanceLock) {
    this.#options = options;
    this.#lock = lock;
    this.#logs = new ServiceLogs(options.layout);
    this.#progress = new Progress(options.say);
    this.#supervisor = { procsDir: options.layout.procsDir, report: (line) => this.#report(line) };
  }

  /** Takes the lock of the state directory. @throws CodedError `already_running` (exit 6) */
  static async open(options: ServiceOptions): Promise<Service> {
    const { layout, uid, env } = options;
    const lock = await lockInstance(layout, { uid, temporaryDir: env.TMPDIR ?? tmpdir() });
    return new Service(options, lock);
  }

  /**
   * Starts everything: what an earlier run left is ended, then the storage, then the pg on it.
   *
   * @throws CodedError with the exit code of what prevents it; whatever was started is ended by `stop`
   */
  async start(signal: AbortSignal): Promise<Omit<Summary, "startedInMs">> {
    try {
      return await this.#start(signal);
    } catch (error) {
      if (!signal.aborted) this.#logs.log.error(`could not start: ${errorChain(error)}`);
      throw error;
    }
  }

  async #start(signal: AbortSignal): Promise<Omit<Summary, "startedInMs">> {
    const { layout, env, postgresUser, programs, pgHost } = this.#options;
    this.#logs.log.info("service starting", { pid: process.pid, dir: layout.root });
    await this.#writeServiceFile({});
    await this.#progress.step("ending what an earlier run left", () => this.#reap());
    const access = await remoteAccess({ host: pgHost, passwordFile: layout.passwordFile, env });
    const ports = await choosePgPorts(this.#options.pgPort);
    const { installation, records } = await this.#prepareRecords();
    await this.#prepareDirectories();
    const postgresName = nameForPrograms(postgresUser);

    const storageDir = records.storage.path ?? layout.storageDir(STORAGE);
    const storage = new NativeStorage({
      name: STORAGE,
      dir: storageDir,
      program: programs.store,
      pgBin: installation.binDir,
      user: postgresName,
      env: programEnvironment(env, { objectStore: true, postgresUser: postgresName }),
      log: this.#logs.open(layout.storageLog(STORAGE)),
      supervisor: this.#supervisor,
    });
    this.#storage = storage;
    await this.#stoppable(
      signal,
      this.#progress.step("starting the storage", () => storage.child.start()),
    );
    await this.#progress.step(`creating a PostgreSQL ${records.branch.pg_version} database cluster`, () =>
      this.#ensureTimeline(storage, records, signal),
    );

    const pg = await this.#makePg(storage, records, installation, ports, access);
    this.#pg = pg;
    await this.#stoppable(
      signal,
      this.#progress.step("starting Postgres", () => pg.child.start()),
    );
    await this.#writeServiceFile({ pgs: { [PG]: ports }, storages: { [STORAGE]: storage.endpoints } });
    this.#logs.log.info("service running", { connect: pg.connectionString });
    const pgLayout = layout.pg(PG);
    return {
      version: installation.version,
      connectionString: pg.connectionString,
      passwordHint: access.passwordHint,
      externalHttpPort: ports.externalHttp,
      internalHttpPort: ports.internalHttp,
      storeHttp: storage.endpoints.http,
      dataDir: layout.root,
      logs: [pgLayout.log, layout.logsDir],
    };
  }

  /**
   * Ends everything in order: computes, storage, lock; gives what went wrong, and goes on with the rest all the same.
   *
   * @param force ends everything at once when it aborts, also while the stop is under way
   */
  async stop(force: AbortSignal): Promise<unknown[]> {
    const problems: unknown[] = [];
    const attempt = async (work: () => Promise<unknown> | undefined): Promise<void> => {
      try {
        await work();
      } catch (error) {
        problems.push(error);
      }
    };
    const hasten = (): void => {
      for (const child of [this.#pg?.child, this.#storage?.child]) void child?.stop("immediate").catch(() => undefined);
    };
    if (force.aborted) hasten();
    force.addEventListener("abort", hasten, { once: true });
    this.#logs.log.info("service stopping");
    await attempt(() => this.#progress.step("stopping Postgres", async () => await this.#pg?.child.stop()));
    await attempt(() => this.#progress.step("stopping the storage", async () => await this.#storage?.child.stop()));
    force.removeEventListener("abort", hasten);
    await attempt(() => rm(this.#options.layout.serviceFile, { force: true }));
    await attempt(() => this.#lock.release());
    this.#logs.log.info("service stopped");
    await attempt(() => this.#logs.close());
    return problems;
  }

  async #reap(): Promise<void> {
    const { layout } = this.#options;
    const report = (line: string): void => this.#report(line);
    await reapLeftovers({ procsDir: layout.procsDir, termMs: LEFTOVER_MS, report });
    for (const name of await readdir(layout.pgsDir)) await stopLeftover(layout.pg(name).pgdata, { log: report });
  }

  async #prepareRecords(): Promise<{ installation: PostgresInstallation; records: QuickstartRecords }> {
    const { layout, pgVersion, pgBin, env } = this.#options;
    const known = await readQuickstart(layout, this.#reader());
    const installation = await choosePostgres({
      branchMajor: known.branch?.pg_version,
      wantedMajor: pgVersion,
      pgBin,
      env,
    });
    const newId = (): string => randomBytes(16).toString("hex");
    const records = await completeQuickstart(layout, known, { major: installation.major, newId, now: Date.now });
    return { installation, records };
  }

  async #prepareDirectories(): Promise<void> {
    const { layout, uid, postgresUser, env } = this.#options;
    const options = { uid, postgresUser, now: Date.now };
    const pg = layout.pg(PG);
    await makePassableDirectory(layout.storageDir(STORAGE), options);
    await makePassableDirectory(pg.dir, options);
    if (postgresUser !== undefined) {
      await requireReachable(postgresUser, pg.dir, env).catch((error: unknown) => {
        throw new CodedError("state_directory_unusable", errorChain(error), { exitCode: 4 });
      });
    }
    await claimForNameless(pg.pgdata, postgresUser);
    await makePostgresDirectory(pg.socketDir, options);
  }

  async #ensureTimeline(storage: NativeStorage, records: QuickstartRecords, signal: AbortSignal): Promise<void> {
    const client = new StoreClient(storage.endpoints.http);
    const { tenant_id } = records.storage;
    const { timeline_id, pg_version } = records.branch;
    await client.attachTenant(tenant_id, signal);
    if (await client.hasTimeline(tenant_id, timeline_id, signal)) return;
    await client.bootstrapTimeline(tenant_id, timeline_id, pg_version, signal);
  }

  async #makePg(
    storage: NativeStorage,
    records: QuickstartRecords,
    installation: PostgresInstallation,
    ports: PgPorts,
    access: RemoteAccess,
  ): Promise<Pg> {
    const { layout, env, programs } = this.#options;
    const key = await loadSigningKey(layout, this.#reader());
    const pgLayout = layout.pg(PG);
    const config = computeConfig(decodeComputeConfig(JSON.stringify(quickstart)), {
      endpointId: PG,
      tenantId: records.storage.tenant_id,
      timelineId: records.branch.timeline_id,
      postgresPort: ports.postgres,
      listenAddresses: access.listenAddresses,
      passwordVerifier: access.passwordVerifier,
      socketDir: pgLayout.socketDir,
      pageserver: storage.endpoints.pageserver,
      pageserverGrpc: storage.endpoints.grpc,
      safekeeper: storage.endpoints.safekeeper,
      jwk: key.jwk,
    });
    return new Pg({
      name: PG,
      layout: pgLayout,
      ports,
      program: programs.compute,
      pgbin: installation.postgres,
      env: programEnvironment(env, { objectStore: false, postgresUser: nameForPrograms(this.#options.postgresUser) }),
      config,
      token: await key.computeToken(PG),
      log: this.#logs.open(pgLayout.log),
      supervisor: this.#supervisor,
    });
  }

  /** A start that is given up as soon as somebody wants the service to stop; `stop` ends what it began. */
  async #stoppable(signal: AbortSignal, start: Promise<void>): Promise<void> {
    const { promise, reject } = Promise.withResolvers<never>();
    const onAbort = (): void => reject(signal.reason as Error);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      await Promise.race([start, promise]);
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  async #writeServiceFile(more: object): Promise<void> {
    const { serviceFile } = this.#options.layout;
    const content = { pid: process.pid, socket: this.#lock.socketPath, ...more };
    await replaceFile(serviceFile, `${JSON.stringify(content, null, 2)}\n`, { durable: false });
  }

  #reader(): RecordReader {
    return { brokenDir: this.#options.layout.brokenDir, now: Date.now, report: (line) => this.#report(line) };
  }

  #report(line: string): void {
    this.#options.say(line);
    this.#logs.log.warn(line);
  }
}
