import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, openSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { execa } from "execa";
import pg from "pg";
import { computeCtlProgram, type Ended, tokenMaker } from "./compute_ctl.ts";
import { freePort } from "./free_port.ts";
import { installation, runAs } from "./postgres.ts";
import type { Storage } from "./store.ts";
import { scratchRoot, temporaryDirectory } from "./temp_directory.ts";

/** What `neon_local` makes of an answer to `/status` (contract: neon-local.md C6). */
export type StartOutcome = { readonly status: string; readonly error: string | null };

export interface EndpointOptions {
  readonly storage: Storage;
  /** `"Primary"`, or `{ Static: lsn }`. */
  readonly mode?: unknown;
  readonly postgresPort?: number;
  readonly env?: NodeJS.ProcessEnv;
}

/**
 * An endpoint of `neon_local`, as far as a compute notices: its directory, command line, config document, polling and ways of
 * stopping are those of the original (contract: neon-local.md C).
 */
export class Endpoint implements AsyncDisposable {
  readonly id = "ep-main";
  readonly directory: string;
  readonly pgdata: string;
  readonly postgresPort: number;
  readonly externalPort: number;
  readonly internalPort: number;
  readonly config: { spec: Record<string, unknown>; compute_ctl_config: object };
  #child: ChildProcess | undefined;
  #exited: Promise<Ended> | undefined;
  readonly #env: NodeJS.ProcessEnv;
  readonly #sign: (claims: object) => Promise<string>;
  readonly #cleanUp: () => Promise<void>;

  private constructor(
    place: { directory: string; postgresPort: number; externalPort: number; internalPort: number },
    options: EndpointOptions,
    cleanUp: () => Promise<void>,
  ) {
    const tokens = tokenMaker();
    this.directory = place.directory;
    this.pgdata = join(place.directory, "pgdata");
    this.postgresPort = place.postgresPort;
    this.externalPort = place.externalPort;
    this.internalPort = place.internalPort;
    this.#env = options.env ?? {};
    this.#sign = tokens.sign;
    this.#cleanUp = cleanUp;
    const conf = postgresqlConf(place.postgresPort, place.directory, options.storage);
    this.config = {
      spec: endpointSpec(this.id, conf, options),
      compute_ctl_config: { jwks: { keys: tokens.jwks.keys }, tls: null },
    };
  }

  /** `endpoint create`. */
  static async create(options: EndpointOptions): Promise<Endpoint> {
    const temporary = await temporaryDirectory({ mode: 0o1777, root: scratchRoot() });
    const directory = join(temporary.path, "endpoints", "ep-main");
    await mkdir(directory, { recursive: true });
    // PGDATA is made in it by whoever runs Postgres.
    await execa("chmod", ["1777", join(temporary.path, "endpoints"), directory]);
    const place = {
      directory,
      postgresPort: options.postgresPort ?? (await freePort()),
      externalPort: await freePort(),
      internalPort: await freePort(),
    };
    return new Endpoint(place, options, () => temporary[Symbol.asyncDispose]());
  }

  /** `endpoint start`: polls from the first moment; every status seen before the last is returned too. */
  async start(): Promise<StartOutcome & { readonly seen: readonly string[] }> {
    await rm(this.pgdata, { recursive: true, force: true });
    const config = join(this.directory, "config.json");
    await writeFile(config, JSON.stringify(this.config, undefined, 2));
    const words = [
      ...["--external-http-port", String(this.externalPort), "--internal-http-port", String(this.internalPort)],
      ...["--pgdata", this.pgdata, "--connstr", this.connstr, "--config", config],
      ...["--pgbin", installation(17).postgres, "--compute-id", this.id],
    ];
    const log = openSync(join(this.directory, "compute.log"), "a");
    const { file, argv } = computeCtlProgram();
    this.#child = spawn(file, [...argv, ...words], {
      // The fourth is ours: no compute outlives the tests.
      stdio: ["ignore", log, log, "pipe"],
      env: { ...process.env, NEON_LOCAL_SUPERVISOR_FD: "3", ...this.#env },
    });
    const child = this.#child;
    this.#exited = new Promise((done) => child.once("exit", (code, signal) => done({ code, signal })));
    const seen: string[] = [];
    for (;;) {
      const report = await this.status().catch(() => undefined);
      if (report !== undefined) {
        if (seen.at(-1) !== report.status) seen.push(report.status);
        if (report.status !== "init") return { ...report, seen };
      } else if (child.exitCode !== null) throw new Error(`compute_ctl ended before it answered\n${await this.log()}`);
      await delay(1);
    }
  }

  get connstr(): string {
    return `postgresql://cloud_admin@127.0.0.1:${this.postgresPort}/postgres`;
  }

  get pid(): number {
    return this.#child?.pid ?? -1;
  }

  /** The end of the process, however it comes. */
  get exited(): Promise<Ended> {
    return this.#exited ?? Promise.reject(new Error("it was never started"));
  }

  /** What the process and Postgres wrote. */
  async log(): Promise<string> {
    return await readFile(join(this.directory, "compute.log"), "utf8");
  }

  /** A token as the tool signs it: no `kid`, no times, absent claims null. */
  async #token(admin: boolean): Promise<string> {
    return await this.#sign(
      admin
        ? { compute_id: null, scope: "compute_ctl:admin", aud: ["compute"] }
        : { compute_id: this.id, scope: null, aud: null },
    );
  }

  async request(path: string, init: RequestInit & { readonly admin?: boolean } = {}): Promise<Response> {
    const headers = { authorization: `Bearer ${await this.#token(init.admin === true)}`, ...init.headers };
    return await fetch(`http://0.0.0.0:${this.externalPort}${path}`, { ...init, headers });
  }

  async status(): Promise<StartOutcome> {
    const answer = await this.request("/status");
    if (!answer.ok) throw new Error(`/status answers ${answer.status}`);
    return (await answer.json()) as StartOutcome;
  }

  /** `endpoint reconfigure`, and what the storage controller sends. */
  async configure(spec: object = this.config.spec): Promise<Response> {
    return await this.request("/configure", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ...this.config, spec }),
    });
  }

  /** `pg_ctl stop`, as the user who runs Postgres. */
  async pgCtlStop(mode: "fast" | "immediate"): Promise<void> {
    const identity = runAs === undefined ? {} : { uid: runAs.uid, gid: runAs.gid };
    const words = ["-D", this.pgdata, "-w", "-m", mode, "stop"];
    await execa(join(installation(17).binDir, "pg_ctl"), words, { cwd: "/", ...identity });
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** Whether the tool would call it crashed: its postmaster is gone, its pid file not. */
  get leftPidFile(): boolean {
    return existsSync(join(this.pgdata, "postmaster.pid"));
  }

  /** The first column of the first row. */
  async query(sql: string): Promise<unknown> {
    const client = new pg.Client({ connectionString: this.connstr });
    await client.connect();
    try {
      return (await client.query({ text: sql, rowMode: "array" })).rows[0]?.[0];
    } finally {
      await client.end();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child?.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill("SIGTERM");
      const timer = setTimeout(() => this.#child?.kill("SIGTERM"), 15_000);
      await this.#exited;
      clearTimeout(timer);
    }
    await this.#cleanUp();
  }
}

/** One `name=value` a line, as the tool writes it (contract: neon-local.md C5). */
function postgresqlConf(port: number, directory: string, storage: Storage): string {
  return [
    "max_wal_senders=10",
    "wal_log_hints=off",
    "max_replication_slots=10",
    "hot_standby=on",
    "shared_buffers=1MB",
    "effective_io_concurrency=2",
    "fsync=off",
    "max_connections=100",
    "wal_level=logical",
    "wal_sender_timeout=5s",
    "listen_addresses='127.0.0.1'",
    `port=${port}`,
    "wal_keep_size=0",
    "restart_after_crash=off",
    "shared_preload_libraries=neon",
    "max_replication_write_lag=15MB",
    "max_replication_flush_lag=10GB",
    "synchronous_standby_names=walproposer",
    `neon.safekeepers='${storage.safekeepers.join()}'`,
    // Not the tool's: the directory that is compiled in may be closed to us.
    `unix_socket_directories='${directory}'`,
    "",
  ].join("\n");
}

/** The spec with every key, absent values null, in the tool's order (contract: neon-local.md C4). */
function endpointSpec(
  id: string,
  conf: string,
  { storage, mode = "Primary" }: EndpointOptions,
): Record<string, unknown> {
  const pageserver = { id: 1, libpq_url: storage.pageserver.libpq_url, grpc_url: storage.pageserver.grpc_url };
  return {
    format_version: 1.0,
    operation_uuid: null,
    features: [],
    swap_size_bytes: null,
    disk_quota_bytes: null,
    disable_lfc_resizing: null,
    cluster: {
      cluster_id: null,
      name: null,
      state: null,
      roles: [],
      databases: [],
      postgresql_conf: conf,
      settings: null,
    },
    delta_operations: null,
    skip_pg_catalog_updates: true,
    tenant_id: storage.tenantId,
    timeline_id: storage.timelineId,
    pageserver_connection_info: {
      shard_count: 0,
      stripe_size: null,
      shards: { "0000": { pageservers: [pageserver] } },
      prefer_protocol: "libpq",
    },
    pageserver_connstring: storage.pageserver.libpq_url,
    shard_stripe_size: null,
    project_id: null,
    branch_id: null,
    endpoint_id: id,
    safekeepers_generation: 1,
    safekeeper_connstrings: mode === "Primary" ? storage.safekeepers : [],
    mode,
    storage_auth_token: null,
    remote_extensions: null,
    pgbouncer_settings: null,
    local_proxy_config: null,
    reconfigure_concurrency: 1,
    drop_subscriptions_before_start: false,
    audit_log_level: "Disabled",
    logs_export_host: null,
    endpoint_storage_addr: "127.0.0.1:9993",
    endpoint_storage_token: "not.a.token",
    autoprewarm: false,
    offload_lfc_interval_seconds: null,
    suspend_timeout_seconds: -1,
    databricks_settings: null,
  };
}
