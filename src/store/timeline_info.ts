import { formatLsn, INVALID_LSN } from "../wire/lsn.ts";
import { WAL_SEGMENT_SIZE } from "../wire/wal/segment.ts";
import { lsnOf } from "./image.ts";
import type { Timeline } from "./timeline.ts";
import type { AcceptorStatus } from "./wal_service/wal_timeline.ts";

/**
 * What `GET …/timeline/<id>` answers: the pageserver's timeline info (contract: storage-protocols.md 7.3), and the
 * safekeeper's status of the same path beside it (6), as both are one process here.
 */
export async function timelineInfo(timeline: Timeline): Promise<Record<string, unknown>> {
  const { record } = timeline;
  const acceptor = await timeline.acceptorStatus();
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
    ...safekeeperStatus(acceptor, record.system_identifier),
    // Ours: a string, because it does not fit into a JavaScript number.
    system_identifier: record.system_identifier,
    build_id: record.build_id,
    created_at: record.created_at,
  };
}

/** LSNs are those in memory; the pageserver's part says what is durable. */
function safekeeperStatus(acceptor: AcceptorStatus, systemIdentifier: string): Record<string, unknown> {
  return {
    mconf: { generation: 0, members: [], new_members: null },
    acceptor_state: {
      term: Number(acceptor.term),
      epoch: Number(acceptor.epoch),
      term_history: acceptor.history.map(({ term, lsn }) => ({ term: Number(term), lsn: formatLsn(lsn) })),
    },
    // The identifier as a string, because it does not fit into a JavaScript number.
    pg_info: { pg_version: acceptor.pgVersion, system_id: systemIdentifier, wal_seg_size: WAL_SEGMENT_SIZE },
    flush_lsn: formatLsn(acceptor.flushLsn),
    commit_lsn: formatLsn(acceptor.commitLsn),
    timeline_start_lsn: formatLsn(acceptor.timelineStartLsn),
    local_start_lsn: formatLsn(acceptor.localStartLsn),
    backup_lsn: formatLsn(INVALID_LSN),
    peer_horizon_lsn: formatLsn(acceptor.peerHorizonLsn),
    peers: [],
    walreceivers: acceptor.receivers.map(({ connection, status }) => ({ conn_id: connection, status })),
    walsenders: acceptor.senders.map(({ application, sentLsn }) => ({
      appname: application,
      sent_ptr: formatLsn(sentLsn),
    })),
  };
}
