import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { errorCode } from "../../errors/coded_error.ts";
import type { AcceptorRecord } from "../../walproposer/acceptor_state.ts";
import type { Lsn } from "../../wire/lsn.ts";
import { WAL_PAGE_MAGIC } from "../../wire/wal/page_header.ts";
import { parseId } from "../ids.ts";
import { lsnOf } from "../image.ts";
import { type StoreLayout, type TimelineLayout, timelineLayout } from "../layout.ts";
import { requireRecord } from "../record_file.ts";
import { damagedFile } from "../store_error.ts";
import { type TimelineRecord, timelineSchema } from "../timeline_record.ts";
import { fromAcceptorFile } from "../wal_service/acceptor_file.ts";
import { readAcceptorFile } from "../wal_service/acceptor_schema.ts";
import type { WalSpans } from "../wal_span.ts";

/** A timeline as its files say, whether or not a store runs on them. */
export interface StoredTimeline {
  readonly record: TimelineRecord;
  readonly layout: TimelineLayout;
  readonly acceptor: AcceptorRecord;
  /** Of its ancestors too. */
  readonly spans: WalSpans;
  readonly ancestor: StoredTimeline | undefined;
}

/** Ids of the tenants, or of a tenant's timelines; what is being made or removed is left out. */
export async function idsBelow(dir: string): Promise<string[]> {
  try {
    return (await readdir(dir)).filter((name) => parseId(name) === name).sort();
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    throw error;
  }
}

/** @throws StoreError `damaged_file`, also for one of its ancestors */
export async function readStoredTimeline(
  layout: StoreLayout,
  tenantId: string,
  timelineId: string,
  descendants: ReadonlySet<string> = new Set(),
): Promise<StoredTimeline> {
  const own = timelineLayout(layout.timelineDir(tenantId, timelineId));
  const record = await requireRecord(own.timelineFile, timelineSchema);
  if (record.tenant_id !== tenantId || record.timeline_id !== timelineId)
    throw damagedFile(
      own.timelineFile,
      "it belongs to another tenant or timeline",
      "move it back to where it came from",
    );
  const acceptor = fromAcceptorFile(await readAcceptorFile(own.acceptorFile));
  const { ancestor_timeline_id: ancestorId, ancestor_lsn: ancestorLsn } = record;
  if (ancestorId === null || ancestorLsn === null)
    return { record, layout: own, acceptor, spans: [{ walDir: own.walDir, from: 0n }], ancestor: undefined };
  if (descendants.has(ancestorId))
    throw damagedFile(own.timelineFile, "it is an ancestor of itself", "put it back from a copy of the store");
  const ancestor = await readStoredTimeline(layout, tenantId, ancestorId, new Set([...descendants, timelineId]));
  const spans: WalSpans = [...ancestor.spans, { walDir: own.walDir, from: lsnOf(ancestorLsn) }];
  return { record, layout: own, acceptor, spans, ancestor };
}

/** What a scan of its WAL has to know. `from` is where its own WAL begins to be read. */
export function scanOf({ record, spans }: StoredTimeline, from: Lsn) {
  return {
    spans,
    from,
    systemIdentifier: BigInt(record.system_identifier),
    magic: WAL_PAGE_MAGIC[record.pg_version],
  };
}

/** Tenants' directories, for those who look at everything. */
export function tenantDirectory(layout: StoreLayout, tenantId: string): string {
  return join(layout.tenantsDir, tenantId);
}
