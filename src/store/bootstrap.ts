import { mkdir } from "node:fs/promises";
import { syncDirectory } from "../disk/atomic_file.ts";
import { patchControlFile } from "../wire/control_file.ts";
import type { ChunkStore } from "./chunk_store.ts";
import { type Image, lsnOf } from "./image.ts";
import { timelineLayout } from "./layout.ts";
import { STORE_FORMAT, writeNewRecord } from "./record_file.ts";
import { installWal } from "./template_wal.ts";
import type { CachedTemplate } from "./templates.ts";
import type { TimelineRecord } from "./timeline_record.ts";
import { newAcceptorFile } from "./wal_service/acceptor_file.ts";

export interface BootstrapRequest {
  readonly tenantId: string;
  readonly timelineId: string;
  readonly source: CachedTemplate;
  /** The store's own. */
  readonly chunks: ChunkStore;
  readonly systemIdentifier: bigint;
  /** Milliseconds since 1970. */
  readonly now: number;
}

export interface Bootstrap {
  readonly record: TimelineRecord;
  /** Writes the timeline's files into an empty directory, durably. */
  readonly fill: (dir: string) => Promise<void>;
}

/**
 * A timeline of its own out of a template: same chunks, another system identifier, so that no replica can mistake it for
 * another timeline. Costs metadata only once the store has the template's chunks.
 */
export async function bootstrapTimeline(request: BootstrapRequest): Promise<Bootstrap> {
  const { source, chunks, systemIdentifier } = request;
  const { template } = source;
  for (const { chunks: ids } of template.image.files) for (const id of ids) await chunks.adopt(id, source.chunks);
  const image = await withSystemIdentifier(template.image, chunks, systemIdentifier);
  await chunks.sync();
  const record: TimelineRecord = {
    format: STORE_FORMAT,
    tenant_id: request.tenantId,
    timeline_id: request.timelineId,
    pg_version: image.pg_version,
    build_id: image.build_id,
    system_identifier: String(systemIdentifier),
    ancestor_timeline_id: null,
    ancestor_lsn: null,
    start_lsn: template.end,
    images: [image.lsn],
    created_at: new Date(request.now).toISOString(),
  };
  const fill = async (dir: string): Promise<void> => {
    const layout = timelineLayout(dir);
    await mkdir(layout.walDir);
    await mkdir(layout.imagesDir);
    await installWal(template.wal, source.chunks, layout, systemIdentifier);
    await writeNewRecord(layout.image(lsnOf(image.lsn)), image);
    await syncDirectory(layout.imagesDir);
    await writeNewRecord(layout.acceptorFile, newAcceptorFile(record));
    await writeNewRecord(layout.timelineFile, record);
  };
  return { record, fill };
}

async function withSystemIdentifier(image: Image, chunks: ChunkStore, systemIdentifier: bigint): Promise<Image> {
  const files = [];
  for (const file of image.files) {
    const [only] = file.chunks;
    if (file.path !== "global/pg_control" || only === undefined) {
      files.push(file);
      continue;
    }
    const control = patchControlFile(await chunks.content(only), { systemIdentifier });
    files.push({ ...file, chunks: [await chunks.put(control)] });
  }
  return { ...image, system_identifier: String(systemIdentifier), files };
}

/** As Postgres makes them: seconds in the upper half, microseconds and something of this process in the lower. */
export function newSystemIdentifier(now: number, random: number): bigint {
  const seconds = BigInt(Math.floor(now / 1000));
  const micros = BigInt(Math.floor((now % 1000) * 1000));
  return (seconds << 32n) | (micros << 12n) | BigInt(random & 0xfff);
}
