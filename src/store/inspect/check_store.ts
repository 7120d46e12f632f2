import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { errorChain, errorCode } from "../../errors/coded_error.ts";
import type { Lsn } from "../../wire/lsn.ts";
import { parseWalSegmentName, WAL_SEGMENT_SIZE } from "../../wire/wal/segment.ts";
import { checkChunk, chunkId, chunkIdPattern, inflateChunk } from "../chunk.ts";
import { ChunkStore } from "../chunk_store.ts";
import { type Image, imageSchema, lsnOf } from "../image.ts";
import { type StoreLayout, storeLayout } from "../layout.ts";
import { requireRecord } from "../record_file.ts";
import { storeSchema } from "../store_file.ts";
import { tenantSchema } from "../timeline_record.ts";
import { findWalEnd } from "../wal_scan.ts";
import { idsBelow, readStoredTimeline, type StoredTimeline, scanOf, tenantDirectory } from "./stored_timeline.ts";

export interface StoreCheck {
  /** One sentence each; all of them name a file. */
  readonly problems: readonly string[];
  readonly tenants: number;
  readonly timelines: number;
  readonly images: number;
  readonly segments: number;
  readonly chunks: number;
}

/**
 * Looks at everything a store has on disk: state files, manifests, the content of every chunk, every record of the WAL. Reads
 * only, also while a store runs: what comes and goes meanwhile is no problem.
 */
export async function checkStore(dir: string): Promise<StoreCheck> {
  const check = new Check(storeLayout(dir));
  await check.run();
  return { problems: check.problems, ...check.counts };
}

class Check {
  readonly problems: string[] = [];
  readonly counts = { tenants: 0, timelines: 0, images: 0, segments: 0, chunks: 0 };
  readonly #layout: StoreLayout;
  readonly #chunks: ChunkStore;

  constructor(layout: StoreLayout) {
    this.#layout = layout;
    this.#chunks = new ChunkStore({ dir: layout.chunksDir, temporaryDir: layout.temporaryDir, cache: false });
  }

  async run(): Promise<void> {
    await this.#try(async () => void (await requireRecord(this.#layout.storeFile, storeSchema)));
    for (const tenantId of await idsBelow(this.#layout.tenantsDir)) await this.#tenant(tenantId);
    await this.#allChunks();
  }

  async #tenant(tenantId: string): Promise<void> {
    this.counts.tenants++;
    await this.#try(async () => void (await requireRecord(this.#layout.tenantFile(tenantId), tenantSchema)));
    for (const timelineId of await idsBelow(tenantDirectory(this.#layout, tenantId))) {
      const dir = this.#layout.timelineDir(tenantId, timelineId);
      this.counts.timelines++;
      const before = this.problems.length;
      await this.#try(async () => await this.#timeline(await readStoredTimeline(this.#layout, tenantId, timelineId)));
      // Deleted while we looked.
      if (this.problems.length > before && !(await exists(dir))) this.problems.length = before;
    }
  }

  async #timeline(timeline: StoredTimeline): Promise<void> {
    const { record, layout } = timeline;
    let redo: Lsn | undefined;
    for (const lsn of record.images)
      await this.#try(async () => {
        const image = await this.#image(timeline, lsnOf(lsn));
        const start = lsnOf(image.redo);
        if (redo === undefined || start < redo) redo = start;
      });
    if (!timeline.ancestor && redo === undefined)
      this.problems.push(`${layout.timelineFile} names no image that can be used`);
    await this.#wal(timeline, redo ?? lsnOf(record.start_lsn));
  }

  async #image({ layout, record }: StoredTimeline, lsn: Lsn): Promise<Image> {
    this.counts.images++;
    const path = layout.image(lsn);
    const image = await requireRecord(path, imageSchema);
    if (lsnOf(image.lsn) !== lsn) this.problems.push(`${path} is the image of another LSN: ${image.lsn}`);
    if (image.system_identifier !== record.system_identifier || image.pg_version !== record.pg_version)
      this.problems.push(`${path} belongs to another cluster than its timeline`);
    for (const id of new Set(image.files.flatMap((file) => file.chunks)))
      if (!(await this.#chunks.has(id))) this.problems.push(`${this.#chunks.path(id)} is missing, ${path} needs it`);
    return image;
  }

  /** Its own WAL; that of its ancestors is checked with them. */
  async #wal(timeline: StoredTimeline, from: Lsn): Promise<void> {
    const { layout, acceptor, record } = timeline;
    for (const name of await readdir(layout.walDir)) {
      if (!parseWalSegmentName(name)) continue;
      this.counts.segments++;
      await this.#try(async () => {
        const { size } = await stat(join(layout.walDir, name));
        if (size !== WAL_SEGMENT_SIZE)
          this.problems.push(`${join(layout.walDir, name)} has ${size} bytes instead of ${WAL_SEGMENT_SIZE}`);
      });
    }
    if (String(acceptor.server.systemId) !== record.system_identifier)
      this.problems.push(`${layout.acceptorFile} belongs to another cluster than its timeline`);
    const own = timeline.ancestor && from < lsnOf(record.start_lsn) ? lsnOf(record.start_lsn) : from;
    await this.#try(async () => {
      await findWalEnd({ ...scanOf(timeline, own), atLeast: acceptor.commitLsn });
    });
  }

  async #allChunks(): Promise<void> {
    // A store without a chunk may lack the directory; one that cannot be read must not pass as whole.
    const prefixes = await readdir(this.#layout.chunksDir).catch((error: unknown) => {
      if (errorCode(error) === "ENOENT") return [];
      throw error;
    });
    for (const prefix of prefixes) {
      for (const id of await readdir(join(this.#layout.chunksDir, prefix))) {
        const path = join(this.#layout.chunksDir, prefix, id);
        if (!chunkIdPattern.test(id) || !id.startsWith(prefix)) {
          this.problems.push(`${path} is no chunk`);
          continue;
        }
        this.counts.chunks++;
        await this.#try(async () => {
          const member = await readFile(path);
          checkChunk(member, id, path);
          if (chunkId(await inflateChunk(member)) !== id)
            this.problems.push(`${path} has another content than its name says`);
        });
      }
    }
  }

  /** A failure is one more problem; the rest is looked at all the same. */
  async #try(look: () => Promise<void>): Promise<void> {
    try {
      await look();
    } catch (error) {
      this.problems.push(errorChain(error));
    }
  }
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    (error: unknown) => {
      if (errorCode(error) === "ENOENT") return false;
      throw error;
    },
  );
}
