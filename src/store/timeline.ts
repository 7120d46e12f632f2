import { formatLsn, type Lsn } from "../wire/lsn.ts";
import { WAL_PAGE_MAGIC } from "../wire/wal/page_header.ts";
import type { ReadableHistory } from "./commit_time.ts";
import { type Image, imageSchema, lsnOf } from "./image.ts";
import { type TimelineLayout, timelineLayout } from "./layout.ts";
import { recordBoundary } from "./record_boundary.ts";
import { requireRecord } from "./record_file.ts";
import { damagedFile, StoreError } from "./store_error.ts";
import type { TimelineRecord } from "./timeline_record.ts";
import { findWalEnd, type WalEnd } from "./wal_scan.ts";
import type { TimelineWal } from "./wal_service/timeline_wal.ts";
import type { AcceptorStatus, WalTimeline } from "./wal_service/wal_timeline.ts";
import type { WalSpans } from "./wal_span.ts";

/** One branch of a database's history: its WAL, the images that lead to it, and everyone who reads it. */
export class Timeline {
  readonly record: TimelineRecord;
  readonly layout: TimelineLayout;
  /** Whose history this one continues. */
  readonly ancestor: Timeline | undefined;
  readonly #deleted = new AbortController();
  readonly #readers = new Set<Promise<void>>();
  #wal: TimelineWal | undefined;
  /** The check of the WAL that was there when the store started, and where it began. */
  #check: { readonly from: Lsn; readonly done: Promise<void> } | undefined;

  constructor(record: TimelineRecord, dir: string, ancestor?: Timeline) {
    this.record = record;
    this.layout = timelineLayout(dir);
    this.ancestor = ancestor;
  }

  /** Gives it its WAL: the thread that writes it knows the timeline now. */
  attachWal(wal: TimelineWal): void {
    this.#wal = wal;
  }

  /** `tenant/timeline`, for log lines and errors. */
  get name(): string {
    return `${this.record.tenant_id}/${this.record.timeline_id}`;
  }

  /** Aborts when the timeline's deletion begins. */
  get deleted(): AbortSignal {
    return this.#deleted.signal;
  }

  /** Lowest LSN that can be read; a branch reads its ancestors' history too. */
  get minReadableLsn(): Lsn {
    return this.ancestor?.minReadableLsn ?? lsnOf(this.record.start_lsn);
  }

  /** Where its history, ancestors included, lies. */
  get spans(): WalSpans {
    const { walDir } = this.layout;
    const { ancestor } = this;
    return ancestor ? [...ancestor.spans, { walDir, from: this.#branchLsn }] : [{ walDir, from: 0n }];
  }

  /** What the thread that writes WAL has to know. */
  get walTimeline(): WalTimeline {
    return {
      tenantId: this.record.tenant_id,
      timelineId: this.record.timeline_id,
      acceptorFile: this.layout.acceptorFile,
      walDir: this.layout.walDir,
      spans: this.spans,
      pgVersion: this.record.pg_version,
      systemIdentifier: BigInt(this.record.system_identifier),
    };
  }

  /** Where the WAL ends, and its last record. */
  async walEnd(): Promise<WalEnd> {
    const wal = this.#attachedWal();
    const end = await wal.flushLsn();
    const known = wal.progress.lastRecordStart;
    if (known !== 0n) return { end, lastRecordStart: known };
    return { end, lastRecordStart: (await this.boundary(end)).lastRecordStart };
  }

  async acceptorStatus(): Promise<AcceptorStatus> {
    return await this.#attachedWal().status();
  }

  /**
   * The LSN to serve for a request: the given one, once the WAL has reached it, rounded down to the end of a record; or the
   * end of the WAL.
   *
   * @throws StoreError `lsn_wait_timeout`; `lsn_below_cutoff` (contract: storage-protocols.md 1.5, 1.6)
   */
  async resolveLsn(lsn: Lsn | undefined, timeoutMs: number, signal: AbortSignal): Promise<Lsn> {
    const wal = this.#attachedWal();
    const end = await wal.flushLsn();
    if (lsn === undefined || lsn === end) return end;
    if (lsn > end && !(await wal.wait(lsn, timeoutMs, AbortSignal.any([signal, this.deleted])))) {
      const last = formatLsn(await wal.flushLsn());
      throw new StoreError(
        "lsn_wait_timeout",
        `Timed out while waiting for WAL record at LSN ${formatLsn(lsn)} to arrive, last_record_lsn ${last} disk consistent LSN=${last}`,
      );
    }
    if (lsn < this.minReadableLsn)
      throw new StoreError(
        "lsn_below_cutoff",
        `LSN ${formatLsn(lsn)} is earlier than latest GC cutoff ${formatLsn(this.minReadableLsn)}: its data is not kept`,
      );
    return (await this.boundary(lsn)).end;
  }

  /** The last record that ends at or before an LSN that the WAL has reached. */
  async boundary(lsn: Lsn): Promise<WalEnd> {
    const lowest = lsnOf((await this.imageFor(this.minReadableLsn)).redo);
    return await recordBoundary({ spans: this.spans, lsn, lowest, ...this.#cluster });
  }

  /** The newest image from which `lsn` can be served, its own or inherited. */
  async imageFor(lsn: Lsn): Promise<Image> {
    const best = this.record.images
      .map(lsnOf)
      .filter((image) => image <= lsn)
      .at(-1);
    if (best === undefined && this.ancestor)
      return await this.ancestor.imageFor(lsn < this.#branchLsn ? lsn : this.#branchLsn);
    if (best === undefined)
      throw damagedFile(this.layout.timelineFile, `it names no image that serves ${formatLsn(lsn)}`, "restore a copy");
    const path = this.layout.image(best);
    const image = await requireRecord(path, imageSchema);
    if (lsnOf(image.lsn) !== best) throw damagedFile(path, "it is the image of another LSN", "restore a copy");
    return image;
  }

  /**
   * Makes sure that the WAL from `from` on is what was once written, up to its end at this moment. Done once: what comes
   * later is checked as it comes. A backup with a damaged record in it would start and silently lack all that follows.
   *
   * @throws StoreError `damaged_file`
   */
  async checkWal(from: Lsn): Promise<void> {
    if (this.ancestor && from < this.#branchLsn) await this.ancestor.checkWal(from);
    const start = this.ancestor && from < this.#branchLsn ? this.#branchLsn : from;
    if (!this.#check || start < this.#check.from) {
      const check = { from: start, done: this.#checkOwnWal(start) };
      check.done.catch(() => {
        if (this.#check === check) this.#check = undefined;
      });
      this.#check = check;
    }
    await this.#check.done;
  }

  /** What of its history can be read now. */
  async readableHistory(): Promise<ReadableHistory> {
    const end = await this.#attachedWal().flushLsn();
    return { spans: this.spans, from: this.minReadableLsn, end, signal: this.deleted, ...this.#cluster };
  }

  /**
   * Where a branch may begin: the end of the last record at or before an LSN that is waited for, or the end of the WAL.
   *
   * @throws StoreError `branch_lsn_out_of_range` (contract: storage-protocols.md 7.2)
   */
  async branchPoint(lsn: Lsn | undefined, timeoutMs: number, signal: AbortSignal): Promise<Lsn> {
    const wal = this.#attachedWal();
    const end = await wal.flushLsn();
    if (lsn === undefined || lsn === end) return end;
    const lowest = lsnOf(this.record.start_lsn);
    if (lsn < lowest)
      throw new StoreError(
        "branch_lsn_out_of_range",
        `invalid branch start lsn: ${formatLsn(lsn)} is less than ${
          this.ancestor
            ? `${formatLsn(lowest)}, where timeline ${this.name} itself branches off: branch from its ancestor`
            : `latest GC cutoff ${formatLsn(lowest)}`
        }`,
      );
    if (lsn > end && !(await wal.wait(lsn, timeoutMs, AbortSignal.any([signal, this.deleted]))))
      throw new StoreError(
        "branch_lsn_out_of_range",
        `invalid branch start lsn: ${formatLsn(lsn)} is above ${formatLsn(await wal.flushLsn())}, where the WAL of timeline ${this.name} ends`,
      );
    return (await this.boundary(lsn)).end;
  }

  /** Runs `read` while the timeline's files stay where they are. */
  async whileReadable<T>(read: () => Promise<T>): Promise<T> {
    this.deleted.throwIfAborted();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#readers.add(promise);
    try {
      return await read();
    } finally {
      this.#readers.delete(promise);
      resolve();
    }
  }

  /** Refuses new readers and writers, ends those that wait, and settles when the last one is gone. */
  async retire(): Promise<void> {
    this.#deleted.abort(new StoreError("timeline_not_found", `timeline ${this.name} is being deleted`));
    await this.#wal?.forget();
    await Promise.all(this.#readers);
  }

  get #branchLsn(): Lsn {
    return lsnOf(this.record.ancestor_lsn ?? "0/0");
  }

  get #cluster(): { systemIdentifier: bigint; magic: number | undefined } {
    return {
      systemIdentifier: BigInt(this.record.system_identifier),
      magic: WAL_PAGE_MAGIC[this.record.pg_version],
    };
  }

  async #checkOwnWal(from: Lsn): Promise<void> {
    const end = await this.#attachedWal().flushLsn();
    if (from >= end) return;
    await findWalEnd({
      spans: this.spans,
      from,
      atLeast: end,
      until: end,
      signal: this.deleted,
      ...this.#cluster,
    });
  }

  #attachedWal(): TimelineWal {
    if (!this.#wal) throw new StoreError("shutting_down", `timeline ${this.name} is not served`);
    return this.#wal;
  }
}
