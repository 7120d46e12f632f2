import { randomBytes } from "node:crypto";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { syncDirectory } from "../disk/atomic_file.ts";
import { errorChain } from "../errors/coded_error.ts";
import type { Logger } from "../telemetry/log.ts";
import { display } from "../telemetry/log_line.ts";
import { parseId } from "./ids.ts";
import type { StoreLayout } from "./layout.ts";
import { readRecord, requireRecord, STORE_FORMAT, writeRecord } from "./record_file.ts";
import { damagedFile, StoreError } from "./store_error.ts";
import { Timeline } from "./timeline.ts";
import { type TenantRecord, type TimelineRecord, tenantSchema, timelineSchema } from "./timeline_record.ts";
import type { WalService } from "./wal_service/wal_service.ts";

interface Tenant {
  record: TenantRecord;
  readonly timelines: Map<string, Timeline>;
}

export type Location = Pick<TenantRecord, "mode" | "generation" | "tenant_conf">;

/** Names of directories that are being made or removed; swept at start. */
const UNFINISHED = ".";

/** All tenants and timelines of a store: what stands on disk, and what is known about it in memory. */
export class Tenants {
  readonly #layout: StoreLayout;
  readonly #log: Logger;
  readonly #walService: WalService;
  readonly #tenants = new Map<string, Tenant>();
  readonly #deletions = new Map<string, Promise<void>>();
  /** Timelines that are being made. */
  readonly #arriving = new Set<TimelineRecord>();

  constructor(layout: StoreLayout, log: Logger, walService: WalService) {
    this.#layout = layout;
    this.#log = log;
    this.#walService = walService;
  }

  /** Reads every tenant and timeline and removes what a crash left half made or half removed. */
  async load(): Promise<void> {
    for (const tenantId of await this.#children(this.#layout.tenantsDir)) {
      const dir = this.#layout.tenantDir(tenantId);
      const record = await requireRecord(this.#layout.tenantFile(tenantId), tenantSchema);
      if (record.tenant_id !== tenantId) throw misplaced(this.#layout.tenantFile(tenantId));
      const records: TimelineRecord[] = [];
      for (const timelineId of await this.#children(dir, "tenant.json")) {
        const file = join(this.#layout.timelineDir(tenantId, timelineId), "timeline.json");
        const timeline = await requireRecord(file, timelineSchema);
        if (timeline.tenant_id !== tenantId || timeline.timeline_id !== timelineId) throw misplaced(file);
        records.push(timeline);
      }
      const timelines = this.#linked(tenantId, records);
      await Promise.all([...timelines.values()].map((timeline) => this.#attachWal(timeline)));
      if (record.mode === "Detached") await this.#walService.serve(tenantId, false);
      this.#tenants.set(tenantId, { record, timelines });
    }
  }

  /** Timelines by id, each with its ancestor. */
  #linked(tenantId: string, records: readonly TimelineRecord[]): Map<string, Timeline> {
    const byId = new Map(records.map((record) => [record.timeline_id, record]));
    const timelines = new Map<string, Timeline>();
    const link = (record: TimelineRecord, descendants: ReadonlySet<string>): Timeline => {
      const { timeline_id: id, ancestor_timeline_id: ancestorId } = record;
      const dir = this.#layout.timelineDir(tenantId, id);
      let timeline = timelines.get(id);
      if (timeline) return timeline;
      const ancestor = ancestorId === null ? undefined : byId.get(ancestorId);
      if (ancestorId !== null && (!ancestor || record.ancestor_lsn === null || descendants.has(ancestorId)))
        throw damagedFile(
          join(dir, "timeline.json"),
          `its ancestor ${ancestorId} is missing`,
          "put the ancestor back from a copy of the store",
        );
      timeline = new Timeline(record, dir, ancestor && link(ancestor, new Set([...descendants, id])));
      timelines.set(id, timeline);
      return timeline;
    };
    for (const record of records) link(record, new Set());
    return timelines;
  }

  async #attachWal(timeline: Timeline): Promise<void> {
    timeline.attachWal(await this.#walService.register(timeline.walTimeline));
  }

  /** Attached tenants. */
  list(): TenantRecord[] {
    return [...this.#tenants.values()].map(({ record }) => record).filter(({ mode }) => mode !== "Detached");
  }

  /** @throws StoreError `tenant_not_found`, also for a detached tenant */
  tenant(tenantId: string): TenantRecord {
    return this.#attached(tenantId).record;
  }

  /** @throws StoreError `tenant_not_found` */
  timelines(tenantId: string): Timeline[] {
    return [...this.#attached(tenantId).timelines.values()];
  }

  /** @throws StoreError `tenant_not_found`, `timeline_not_found` */
  timeline(tenantId: string, timelineId: string): Timeline {
    const timeline = this.#attached(tenantId).timelines.get(timelineId);
    if (!timeline) throw new StoreError("timeline_not_found", `timeline ${tenantId}/${timelineId} was not found`);
    return timeline;
  }

  /**
   * Creates a tenant, or changes what is known about it. A detached tenant keeps its files, is not served, and comes back
   * with the next attached mode (contract: storage-protocols.md 7.1).
   *
   * @throws StoreError `generation_too_old`
   */
  async setLocation(tenantId: string, location: Location): Promise<void> {
    const path = this.#layout.tenantFile(tenantId);
    const known = this.#tenants.get(tenantId);
    if (!known && location.mode === "Detached") return;
    const highest = known?.record.generation ?? null;
    if (location.generation !== null && highest !== null && location.generation < highest)
      throw new StoreError(
        "generation_too_old",
        `generation ${location.generation} is lower than ${highest}, which tenant ${tenantId} already had`,
      );
    const record: TenantRecord = {
      format: STORE_FORMAT,
      tenant_id: tenantId,
      ...location,
      generation: location.generation ?? highest,
    };
    if (!known) {
      await mkdir(this.#layout.tenantDir(tenantId), { recursive: true });
      await syncDirectory(this.#layout.tenantsDir);
    }
    await writeRecord(path, record);
    await this.#walService.serve(tenantId, record.mode !== "Detached");
    const now = this.#tenants.get(tenantId);
    if (now) now.record = record;
    else this.#tenants.set(tenantId, { record, timelines: new Map() });
  }

  /**
   * Makes a timeline out of a directory that `fill` writes: whole, or not at all. Its ancestor cannot be deleted meanwhile.
   *
   * @throws StoreError `timeline_not_found` when the ancestor is being deleted
   */
  async addTimeline(record: TimelineRecord, fill: (dir: string) => Promise<void>): Promise<Timeline> {
    const ancestorId = record.ancestor_timeline_id;
    const ancestor = ancestorId === null ? undefined : this.timeline(record.tenant_id, ancestorId);
    ancestor?.deleted.throwIfAborted();
    this.#arriving.add(record);
    try {
      return await this.#addTimeline(record, fill, ancestor);
    } finally {
      this.#arriving.delete(record);
    }
  }

  async #addTimeline(
    record: TimelineRecord,
    fill: (dir: string) => Promise<void>,
    ancestor: Timeline | undefined,
  ): Promise<Timeline> {
    const tenant = this.#attached(record.tenant_id);
    const parent = this.#layout.tenantDir(record.tenant_id);
    const unfinished = join(parent, `${UNFINISHED}${record.timeline_id}.${randomBytes(4).toString("hex")}.new`);
    const dir = this.#layout.timelineDir(record.tenant_id, record.timeline_id);
    try {
      await mkdir(unfinished);
      await fill(unfinished);
      await syncDirectory(unfinished);
      await rename(unfinished, dir);
      await syncDirectory(parent);
    } catch (error) {
      await rm(unfinished, { recursive: true, force: true });
      throw error;
    }
    const timeline = new Timeline(record, dir, ancestor);
    await this.#attachWal(timeline);
    tenant.timelines.set(record.timeline_id, timeline);
    return timeline;
  }

  /**
   * Begins to delete a timeline: from now on it is not readable any more, its files go when the last reader has gone.
   *
   * @throws StoreError `timeline_not_found`, `timeline_has_children`, `already_deleting`; a missing tenant is status 412
   */
  deleteTimeline(tenantId: string, timelineId: string): void {
    const timeline = this.timeline(tenantId, timelineId);
    if (this.#deletions.has(timeline.name))
      throw new StoreError("already_deleting", `timeline ${timeline.name} is already being deleted`);
    const children = [...this.timelines(tenantId).map(({ record }) => record), ...this.#arriving]
      .filter((record) => record.tenant_id === tenantId && record.ancestor_timeline_id === timelineId)
      .map((record) => record.timeline_id);
    if (children.length > 0)
      throw new StoreError(
        "timeline_has_children",
        `Cannot delete timeline which has child timelines: [${children.join(", ")}]`,
      );
    const deletion = this.#remove(timeline)
      .catch((error: unknown) => {
        this.#log.error("could not delete a timeline", { timeline: display(timeline.name), error: errorChain(error) });
      })
      .finally(() => this.#deletions.delete(timeline.name));
    this.#deletions.set(timeline.name, deletion);
  }

  /** Settles when no deletion is under way. */
  async settled(): Promise<void> {
    await Promise.all(this.#deletions.values());
  }

  async #remove(timeline: Timeline): Promise<void> {
    const { tenant_id, timeline_id } = timeline.record;
    await timeline.retire();
    const parent = this.#layout.tenantDir(tenant_id);
    const grave = join(parent, `${UNFINISHED}${timeline_id}.${randomBytes(4).toString("hex")}.deleted`);
    await rename(timeline.layout.dir, grave);
    await syncDirectory(parent);
    this.#tenants.get(tenant_id)?.timelines.delete(timeline_id);
    await rm(grave, { recursive: true, force: true });
    this.#log.info("deleted a timeline", { timeline: display(timeline.name) });
  }

  #attached(tenantId: string): Tenant {
    const tenant = this.#tenants.get(tenantId);
    if (!tenant || tenant.record.mode === "Detached")
      throw new StoreError("tenant_not_found", `tenant ${tenantId} was not found`);
    return tenant;
  }

  /** Ids below a directory, unfinished ones removed. */
  async #children(dir: string, ...expected: string[]): Promise<string[]> {
    const ids: string[] = [];
    for (const name of await readdir(dir)) {
      if (name.startsWith(UNFINISHED)) await rm(join(dir, name), { recursive: true, force: true });
      else if (parseId(name) === name) {
        // A crash between making the directory and writing its first file leaves it empty.
        if (dir === this.#layout.tenantsDir && (await this.#isEmptyTenant(name))) continue;
        ids.push(name);
      } else if (!expected.includes(name)) this.#log.warn("ignoring an unknown file", { path: join(dir, name) });
    }
    return ids.sort();
  }

  async #isEmptyTenant(tenantId: string): Promise<boolean> {
    if ((await readRecord(this.#layout.tenantFile(tenantId), tenantSchema)) !== undefined) return false;
    return (await readdir(this.#layout.tenantDir(tenantId))).every((name) => name.startsWith(UNFINISHED));
  }
}

function misplaced(path: string): StoreError {
  return damagedFile(path, "it belongs to another tenant or timeline", "move it back to where it came from");
}
