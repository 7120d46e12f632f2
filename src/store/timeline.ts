import { formatLsn, type Lsn } from "../wire/lsn.ts";
import { WAL_PAGE_MAGIC } from "../wire/wal/page_header.ts";
import { type Image, imageSchema, lsnOf } from "./image.ts";
import { type TimelineLayout, timelineLayout } from "./layout.ts";
import { LsnWaiters } from "./lsn_waiters.ts";
import { requireRecord } from "./record_file.ts";
import { damagedFile, StoreError } from "./store_error.ts";
import type { TimelineRecord } from "./timeline_record.ts";
import { findWalEnd, type WalEnd } from "./wal_scan.ts";

/** One branch of a database's history: its WAL, the images that lead to it, and everyone who reads it. */
export class Timeline {
  readonly record: TimelineRecord;
  readonly layout: TimelineLayout;
  readonly #waiters = new LsnWaiters();
  readonly #deleted = new AbortController();
  readonly #readers = new Set<Promise<void>>();
  #wal: Promise<WalEnd> | undefined;

  constructor(record: TimelineRecord, dir: string) {
    this.record = record;
    this.layout = timelineLayout(dir);
  }

  /** `tenant/timeline`, for log lines and errors. */
  get name(): string {
    return `${this.record.tenant_id}/${this.record.timeline_id}`;
  }

  /** Aborts when the timeline's deletion begins. */
  get deleted(): AbortSignal {
    return this.#deleted.signal;
  }

  /** Lowest LSN that can be read. */
  get minReadableLsn(): Lsn {
    return lsnOf(this.record.start_lsn);
  }

  /** Where the WAL ends. Found by a scan on first use: nothing stores it, so nothing about it can be stale. */
  async walEnd(): Promise<WalEnd> {
    this.#wal ??= this.#scan().catch((error: unknown) => {
      this.#wal = undefined;
      throw error;
    });
    return await this.#wal;
  }

  /** Says that WAL up to `end` is durable now. */
  advance(end: WalEnd): void {
    this.#wal = Promise.resolve(end);
    this.#waiters.reached(end.end);
  }

  /**
   * The LSN to serve for a request: the given one, once the WAL has reached it, or the end of the WAL.
   *
   * @throws StoreError `lsn_wait_timeout`; `lsn_below_cutoff` (contract: storage-protocols.md 1.5, 1.6)
   */
  async resolveLsn(lsn: Lsn | undefined, timeoutMs: number, signal: AbortSignal): Promise<Lsn> {
    const { end } = await this.walEnd();
    if (lsn === undefined) return end;
    if (lsn > end && !(await this.#waiters.wait(lsn, timeoutMs, AbortSignal.any([signal, this.deleted])))) {
      const last = formatLsn((await this.walEnd()).end);
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
    return lsn;
  }

  /** The newest image from which `lsn` can be served. */
  async imageFor(lsn: Lsn): Promise<Image> {
    const best = this.record.images
      .map(lsnOf)
      .filter((image) => image <= lsn)
      .at(-1);
    if (best === undefined)
      throw damagedFile(this.layout.timelineFile, `it names no image that serves ${formatLsn(lsn)}`, "restore a copy");
    const path = this.layout.image(best);
    const image = await requireRecord(path, imageSchema);
    if (lsnOf(image.lsn) !== best) throw damagedFile(path, "it is the image of another LSN", "restore a copy");
    return image;
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

  /** Refuses new readers, ends those that wait, and settles when the last one is gone. */
  async retire(): Promise<void> {
    this.#deleted.abort(new StoreError("timeline_not_found", `timeline ${this.name} is being deleted`));
    await Promise.all(this.#readers);
  }

  async #scan(): Promise<WalEnd> {
    const start = this.minReadableLsn;
    const image = await this.imageFor(lsnOf(this.record.images.at(-1) ?? this.record.start_lsn));
    return await findWalEnd({
      segment: this.layout.segment,
      from: lsnOf(image.redo),
      atLeast: start,
      systemIdentifier: BigInt(this.record.system_identifier),
      magic: WAL_PAGE_MAGIC[this.record.pg_version],
    });
  }
}
