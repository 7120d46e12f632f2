import { formatLsn, INVALID_LSN } from "../wire/lsn.ts";
import { lsnOf } from "./image.ts";
import type { Timeline } from "./timeline.ts";

/**
 * What `GET …/timeline/<id>` answers: the pageserver's timeline info (contract: storage-protocols.md 7.3), and the
 * safekeeper's status of the same path beside it (6), as both are one process here.
 */
export async function timelineInfo(timeline: Timeline): Promise<Record<string, unknown>> {
  const { record } = timeline;
  const { end, lastRecordStart } = await timeline.walEnd();
  const image = await timeline.imageFor(end);
  const last = formatLsn(end);
  const start = formatLsn(timeline.minReadableLsn);
  return {
    tenant_id: record.tenant_id,
    timeline_id: record.timeline_id,
    ancestor_timeline_id: record.ancestor_timeline_id,
    ancestor_lsn: record.ancestor_lsn,
    last_record_lsn: last,
    prev_record_lsn: formatLsn(lastRecordStart ?? INVALID_LSN),
    applied_gc_cutoff_lsn: start,
    min_readable_lsn: start,
    disk_consistent_lsn: last,
    remote_consistent_lsn: last,
    remote_consistent_lsn_visible: last,
    initdb_lsn: start,
    current_logical_size: image.logical_size,
    // Measured when the image was made.
    current_logical_size_is_accurate: lsnOf(image.lsn) === end,
    directory_entries_counts: null,
    current_physical_size: image.stored_size,
    current_logical_size_non_incremental: null,
    pitr_history_size: 0,
    within_ancestor_pitr: false,
    timeline_dir_layer_file_size_sum: null,
    wal_source_connstr: null,
    last_received_msg_lsn: null,
    last_received_msg_ts: null,
    pg_version: record.pg_version,
    state: "Active",
    walreceiver_status: "Not active",
    is_archived: false,
    rel_size_migration: null,
    rel_size_migrated_at: null,
    is_invisible: false,
    // The safekeeper's part.
    acceptor_state: { term: 0, epoch: 0, term_history: [] },
    flush_lsn: last,
    commit_lsn: last,
    timeline_start_lsn: start,
    local_start_lsn: start,
    // Ours: a string, because it does not fit into a JavaScript number.
    system_identifier: record.system_identifier,
    build_id: record.build_id,
    created_at: record.created_at,
  };
}
