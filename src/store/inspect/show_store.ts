import { errorChain } from "../../errors/coded_error.ts";
import { lastLogTerm } from "../../walproposer/term_history.ts";
import { formatLsn } from "../../wire/lsn.ts";
import { storeLayout } from "../layout.ts";
import { requireRecord } from "../record_file.ts";
import { storeSchema } from "../store_file.ts";
import { tenantSchema } from "../timeline_record.ts";
import { findWalEnd } from "../wal_scan.ts";
import { idsBelow, readStoredTimeline, scanOf, tenantDirectory } from "./stored_timeline.ts";

/** What `neon-store show --json` prints. */
export interface StoreSummary {
  readonly store_id: string;
  readonly tenants: readonly {
    readonly tenant_id: string;
    readonly mode: string;
    readonly timelines: readonly TimelineSummary[];
  }[];
}

interface TimelineSummary {
  readonly timeline_id: string;
  /** Set, and the rest is missing, when its files are damaged. */
  readonly problem?: string;
  readonly pg_version?: number;
  readonly ancestor_timeline_id?: string | null;
  readonly ancestor_lsn?: string | null;
  readonly start_lsn?: string;
  /** As stored, which is behind what a running store knows. */
  readonly commit_lsn?: string;
  /** End of the last whole record on disk. */
  readonly flush_lsn?: string;
  readonly term?: number;
  readonly last_log_term?: number;
  readonly images?: readonly string[];
  readonly created_at?: string;
}

/** What a store holds, read from its files, also while it runs. @throws StoreError `damaged_file` */
export async function summarizeStore(dir: string): Promise<StoreSummary> {
  const layout = storeLayout(dir);
  const { store_id } = await requireRecord(layout.storeFile, storeSchema);
  const tenants: StoreSummary["tenants"][number][] = [];
  for (const tenantId of await idsBelow(layout.tenantsDir)) {
    const { mode } = await requireRecord(layout.tenantFile(tenantId), tenantSchema);
    const timelines: TimelineSummary[] = [];
    for (const timelineId of await idsBelow(tenantDirectory(layout, tenantId)))
      timelines.push(await summarizeTimeline(layout, tenantId, timelineId));
    tenants.push({ tenant_id: tenantId, mode, timelines });
  }
  return { store_id, tenants };
}

async function summarizeTimeline(
  layout: ReturnType<typeof storeLayout>,
  tenantId: string,
  timelineId: string,
): Promise<TimelineSummary> {
  try {
    const timeline = await readStoredTimeline(layout, tenantId, timelineId);
    const { record, acceptor } = timeline;
    const { end } = await findWalEnd({ ...scanOf(timeline, acceptor.commitLsn), atLeast: acceptor.commitLsn });
    return {
      timeline_id: timelineId,
      pg_version: record.pg_version,
      ancestor_timeline_id: record.ancestor_timeline_id,
      ancestor_lsn: record.ancestor_lsn,
      start_lsn: record.start_lsn,
      commit_lsn: formatLsn(acceptor.commitLsn),
      flush_lsn: formatLsn(end),
      term: Number(acceptor.term),
      last_log_term: Number(lastLogTerm(acceptor.history, end)),
      images: record.images,
      created_at: record.created_at,
    };
  } catch (error) {
    return { timeline_id: timelineId, problem: errorChain(error) };
  }
}

/** The summary for people. */
export function renderSummary({ store_id, tenants }: StoreSummary): string {
  const lines = [`store ${store_id}`];
  for (const { tenant_id, mode, timelines } of tenants) {
    lines.push(`tenant ${tenant_id} (${mode})`);
    for (const each of timelines) {
      if (each.problem !== undefined) {
        lines.push(`  timeline ${each.timeline_id}: ${each.problem}`);
        continue;
      }
      const from =
        each.ancestor_timeline_id == null
          ? `since ${each.start_lsn}`
          : `branched from ${each.ancestor_timeline_id} at ${each.ancestor_lsn}`;
      lines.push(
        `  timeline ${each.timeline_id} PostgreSQL ${each.pg_version}, ${from}, WAL to ${each.flush_lsn}, commit ${each.commit_lsn}, term ${each.term}, images ${each.images?.join(" ") || "of its ancestor"}`,
      );
    }
  }
  return `${lines.join("\n")}\n`;
}
