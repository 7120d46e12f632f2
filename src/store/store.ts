import { randomInt } from "node:crypto";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { orAborted } from "../errors/or_aborted.ts";
import type { PostgresInstallation } from "../postgres/installation.ts";
import type { PostgresMajor } from "../postgres/supported_majors.ts";
import type { Logger } from "../telemetry/log.ts";
import { display } from "../telemetry/log_line.ts";
import type { Lsn } from "../wire/lsn.ts";
import { type BaseBackup, openBaseBackup } from "./base_backup/base_backup.ts";
import { bootstrapTimeline, newSystemIdentifier } from "./bootstrap.ts";
import { branchRecord, fillBranch } from "./branch.ts";
import { ChunkStore } from "./chunk_store.ts";
import { type DirectoryLock, lockDirectory } from "./directory_lock.ts";
import { lsnOf } from "./image.ts";
import { type StoreLayout, storeLayout } from "./layout.ts";
import { Leases } from "./leases.ts";
import { StoreError } from "./store_error.ts";
import { createStoreDirectory, openStoreFile, type StoreRecord } from "./store_file.ts";
import { type RunInitdb, Templates } from "./templates.ts";
import { Tenants } from "./tenants.ts";
import type { Timeline } from "./timeline.ts";
import { WalService } from "./wal_service/wal_service.ts";

/** How long a request waits for WAL that has not arrived (contract: storage-protocols.md 1.6). */
const WAIT_LSN_TIMEOUT_MS = 300_000;

/** A caller that has just committed may be a moment ahead of the WAL; more would keep its connection waiting for nothing. */
const BRANCH_WAIT_MS = 5_000;

export interface BranchRequest {
  readonly tenantId: string;
  readonly timelineId: string;
  readonly ancestorId: string;
  /** Undefined: the end of the ancestor's WAL. */
  readonly lsn: Lsn | undefined;
}

export interface StoreOptions {
  readonly dir: string;
  readonly log: Logger;
  /** The PostgreSQL programs of a major, or of the highest one there is. */
  readonly locate: (major: PostgresMajor | undefined) => Promise<PostgresInstallation>;
  readonly initdb: RunInitdb;
  readonly initdbOptions: readonly string[];
  /** `<dir>/templates` unless told; may be shared with other stores. */
  readonly templateDir?: string | undefined;
  /** Templates that came with the program; only read. */
  readonly shippedTemplateDir?: string | undefined;
  readonly waitLsnTimeoutMs?: number;
  readonly leaseLengthMs?: number;
  /** Gives the opening up. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export interface BaseBackupOptions {
  readonly timeline: Timeline;
  /** Undefined: the end of the WAL at this moment. */
  readonly lsn: Lsn | undefined;
  readonly gzip: boolean;
  /** For a standby: a replica, or a read-only server at the LSN. */
  readonly replica: boolean;
  readonly signal: AbortSignal;
}

/** A store's directory and what can be done with it, whoever asks in which protocol. */
export class Store {
  readonly record: StoreRecord;
  readonly layout: StoreLayout;
  readonly tenants: Tenants;
  readonly leases: Leases;
  /** The thread that takes WAL in. */
  readonly walService: WalService;
  readonly #options: StoreOptions;
  readonly #lock: DirectoryLock;
  readonly #chunks: ChunkStore;
  readonly #templates: Templates;
  readonly #creating = new Map<string, Promise<Timeline>>();
  readonly #stop = new AbortController();

  private constructor(
    options: StoreOptions,
    layout: StoreLayout,
    lock: DirectoryLock,
    record: StoreRecord,
    walService: WalService,
  ) {
    this.#options = options;
    this.#lock = lock;
    this.layout = layout;
    this.record = record;
    this.walService = walService;
    this.tenants = new Tenants(layout, options.log, walService);
    this.leases = new Leases(options.now, options.leaseLengthMs);
    this.#chunks = new ChunkStore({ dir: layout.chunksDir, temporaryDir: layout.temporaryDir });
    this.#templates = new Templates({
      dir: options.templateDir ?? layout.templatesDir,
      shippedDir: options.shippedTemplateDir,
      initdb: options.initdb,
      initdbOptions: options.initdbOptions,
      log: options.log,
      signal: this.#stop.signal,
    });
  }

  /**
   * Takes the directory for this process, makes the store if there is none, and reads what is in it.
   *
   * @throws StoreError `directory_unusable`, `directory_in_use`, `damaged_file`, `newer_format`; exit code 4
   */
  static async open(options: StoreOptions): Promise<Store> {
    const layout = storeLayout(options.dir);
    // It gets ready while the rest is read.
    const walService = new WalService(options.log);
    let lock: DirectoryLock | undefined;
    try {
      await createStoreDirectory(layout);
      lock = await lockDirectory(layout.lockDir, `store directory ${layout.root}`);
      const record = await openStoreFile(layout, options.now);
      // Left over from a process that was killed.
      await rm(layout.endpointsFile, { force: true });
      // Own templates only: in a shared directory another store may be making one.
      for (const name of await readdir(layout.templatesDir))
        if (name.endsWith(".new")) await rm(join(layout.templatesDir, name), { recursive: true, force: true });
      const store = new Store(options, layout, lock, record, walService);
      // The ends of their WAL have to be found, which takes as long as there is WAL.
      const loading = store.tenants.load();
      await (options.signal ? orAborted(loading, options.signal) : loading);
      return store;
    } catch (error) {
      await walService.stop();
      await lock?.release();
      throw error;
    }
  }

  /**
   * Makes a timeline by initdb. The same request again gives the same timeline, also while the first is still under way.
   *
   * @throws StoreError `tenant_not_found`, `timeline_conflict`; CodedError of `locate` and `initdb_failed`
   */
  async bootstrap(tenantId: string, timelineId: string, major: PostgresMajor | undefined): Promise<Timeline> {
    const name = `${tenantId}/${timelineId}`;
    const existing = this.tenants.timelines(tenantId).find(({ record }) => record.timeline_id === timelineId);
    const timeline = existing ?? (await this.#once(name, () => this.#bootstrap(tenantId, timelineId, major)));
    const { ancestor_timeline_id, pg_version } = timeline.record;
    if (ancestor_timeline_id !== null || (major !== undefined && pg_version !== major))
      throw new StoreError(
        "timeline_conflict",
        `timeline ${name} already exists with other parameters (pg_version ${pg_version})`,
      );
    return timeline;
  }

  /**
   * Makes a branch, which copies nothing. The same request again gives the same timeline.
   *
   * @throws StoreError `tenant_not_found`, `timeline_not_found`, `timeline_conflict`, `branch_lsn_out_of_range`
   */
  async branch(request: BranchRequest): Promise<Timeline> {
    const { tenantId, timelineId, ancestorId, lsn } = request;
    const name = `${tenantId}/${timelineId}`;
    const ancestor = this.tenants.timeline(tenantId, ancestorId);
    const known = this.tenants.timelines(tenantId).find(({ record }) => record.timeline_id === timelineId);
    const timeline = known ?? (await this.#once(name, () => this.#branch(ancestor, request)));
    const { ancestor_timeline_id, ancestor_lsn } = timeline.record;
    const same =
      ancestor_timeline_id === ancestorId &&
      (lsn === undefined || (await ancestor.branchPoint(lsn, 0, this.#stop.signal)) === lsnOf(ancestor_lsn ?? "0/0"));
    if (!same)
      throw new StoreError(
        "timeline_conflict",
        `timeline ${name} already exists with other parameters (${ancestor_timeline_id === null ? "no ancestor" : `ancestor ${ancestor_timeline_id} at ${ancestor_lsn}`})`,
      );
    return timeline;
  }

  /**
   * A base backup at an LSN that was waited for; its timeline stays on disk until the backup is closed.
   *
   * @throws StoreError `lsn_wait_timeout`, `lsn_below_cutoff`, `damaged_file`
   */
  async withBaseBackup(
    options: BaseBackupOptions,
    use: (backup: BaseBackup, lsn: Lsn) => Promise<void>,
  ): Promise<void> {
    const { timeline, gzip, replica } = options;
    await timeline.whileReadable(async () => {
      const signal = AbortSignal.any([options.signal, this.#stop.signal]);
      const lsn = await timeline.resolveLsn(options.lsn, this.#options.waitLsnTimeoutMs ?? WAIT_LSN_TIMEOUT_MS, signal);
      const request = { timeline, chunks: this.#chunks, lsn, gzip, replica, now: this.#options.now() };
      const backup = await openBaseBackup(request);
      try {
        await use(backup, lsn);
      } finally {
        await backup.close();
      }
    });
  }

  /** Ends what waits for WAL or initdb; backups that are being read go on. Idempotent. */
  drain(): void {
    this.#stop.abort(new StoreError("shutting_down", "the store is shutting down"));
  }

  /** Ends what is left, then gives the directory back. Idempotent. */
  async close(): Promise<void> {
    this.drain();
    await Promise.allSettled(this.#creating.values());
    await this.tenants.settled();
    await this.walService.stop();
    await this.#lock.release();
  }

  /** Requests for a timeline that is being made wait for the first. */
  #once(name: string, make: () => Promise<Timeline>): Promise<Timeline> {
    const known = this.#creating.get(name);
    if (known) return known;
    const creation = make().finally(() => this.#creating.delete(name));
    this.#creating.set(name, creation);
    return creation;
  }

  async #branch(ancestor: Timeline, { timelineId, lsn }: BranchRequest): Promise<Timeline> {
    const started = performance.now();
    const waitMs = Math.min(BRANCH_WAIT_MS, this.#options.waitLsnTimeoutMs ?? WAIT_LSN_TIMEOUT_MS);
    const at = await ancestor.branchPoint(lsn, waitMs, this.#stop.signal);
    const record = branchRecord(ancestor.record, timelineId, at, this.#options.now());
    this.#stop.signal.throwIfAborted();
    const timeline = await this.tenants.addTimeline(record, (dir) => fillBranch(dir, record));
    this.#options.log.info("created a branch", {
      timeline: display(timeline.name),
      ancestor: display(record.ancestor_timeline_id),
      lsn: display(record.ancestor_lsn),
      ms: Math.round(performance.now() - started),
    });
    return timeline;
  }

  async #bootstrap(tenantId: string, timelineId: string, major: PostgresMajor | undefined): Promise<Timeline> {
    const { now, log, locate } = this.#options;
    const started = performance.now();
    const source = await this.#templates.get(await locate(major));
    const systemIdentifier = newSystemIdentifier(now(), randomInt(0x1000));
    const { record, fill } = await bootstrapTimeline({
      tenantId,
      timelineId,
      source,
      chunks: this.#chunks,
      systemIdentifier,
      now: now(),
    });
    this.#stop.signal.throwIfAborted();
    const timeline = await this.tenants.addTimeline(record, fill);
    log.info("created a timeline", {
      timeline: display(timeline.name),
      pg_version: record.pg_version,
      ms: Math.round(performance.now() - started),
    });
    return timeline;
  }
}
