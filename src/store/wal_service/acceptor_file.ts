import { type AcceptorRecord, newTimelineRecord } from "../../walproposer/acceptor_state.ts";
import { formatLsn, parseLsn } from "../../wire/lsn.ts";
import { WAL_SEGMENT_SIZE } from "../../wire/wal/segment.ts";
import { STORE_FORMAT } from "../record_text.ts";
import type { TimelineRecord } from "../timeline_record.ts";
import type { AcceptorFile } from "./acceptor_schema.ts";

export function toAcceptorFile(record: AcceptorRecord): AcceptorFile {
  return {
    format: STORE_FORMAT,
    term: String(record.term),
    history: record.history.map(({ term, lsn }) => ({ term: String(term), lsn: formatLsn(lsn) })),
    pg_version: record.server.pgVersion,
    system_identifier: String(record.server.systemId),
    wal_segment_size: record.server.walSegSize,
    timeline_start_lsn: formatLsn(record.timelineStartLsn),
    local_start_lsn: formatLsn(record.localStartLsn),
    commit_lsn: formatLsn(record.commitLsn),
    peer_horizon_lsn: formatLsn(record.peerHorizonLsn),
  };
}

/** Of a timeline nobody was elected on: all its own WAL is still to come. */
export function newAcceptorFile(
  timeline: Pick<TimelineRecord, "pg_version" | "system_identifier" | "start_lsn">,
): AcceptorFile {
  const server = {
    pgVersion: timeline.pg_version * 10_000,
    systemId: BigInt(timeline.system_identifier),
    walSegSize: WAL_SEGMENT_SIZE,
  };
  return toAcceptorFile(newTimelineRecord(parseLsn(timeline.start_lsn), server));
}

export function fromAcceptorFile(file: AcceptorFile): AcceptorRecord {
  return {
    term: BigInt(file.term),
    history: file.history.map(({ term, lsn }) => ({ term: BigInt(term), lsn: parseLsn(lsn) })),
    server: {
      pgVersion: file.pg_version,
      systemId: BigInt(file.system_identifier),
      walSegSize: file.wal_segment_size,
    },
    timelineStartLsn: parseLsn(file.timeline_start_lsn),
    localStartLsn: parseLsn(file.local_start_lsn),
    commitLsn: parseLsn(file.commit_lsn),
    peerHorizonLsn: parseLsn(file.peer_horizon_lsn),
  };
}
