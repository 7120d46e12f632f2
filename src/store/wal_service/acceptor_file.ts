import { z } from "zod";
import { type AcceptorRecord, newTimelineRecord } from "../../walproposer/acceptor_state.ts";
import { formatLsn } from "../../wire/lsn.ts";
import { WAL_SEGMENT_SIZE } from "../../wire/wal/segment.ts";
import { lsnOf, lsnText } from "../image.ts";
import { STORE_FORMAT } from "../record_file.ts";
import type { TimelineRecord } from "../timeline_record.ts";

const u64 = z.string().regex(/^\d{1,20}$/);

/** `acceptor.json`: what an acceptor must not forget (contract: storage-protocols.md 5.7.2). flush_lsn is found by a scan. */
export const acceptorSchema = z.strictObject({
  format: z.number().int(),
  term: u64,
  history: z.array(z.strictObject({ term: u64, lsn: lsnText })),
  pg_version: z.number().int(),
  system_identifier: u64,
  wal_segment_size: z.number().int(),
  timeline_start_lsn: lsnText,
  local_start_lsn: lsnText,
  commit_lsn: lsnText,
  peer_horizon_lsn: lsnText,
});

export type AcceptorFile = z.infer<typeof acceptorSchema>;

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
  return toAcceptorFile(newTimelineRecord(lsnOf(timeline.start_lsn), server));
}

export function fromAcceptorFile(file: AcceptorFile): AcceptorRecord {
  return {
    term: BigInt(file.term),
    history: file.history.map(({ term, lsn }) => ({ term: BigInt(term), lsn: lsnOf(lsn) })),
    server: {
      pgVersion: file.pg_version,
      systemId: BigInt(file.system_identifier),
      walSegSize: file.wal_segment_size,
    },
    timelineStartLsn: lsnOf(file.timeline_start_lsn),
    localStartLsn: lsnOf(file.local_start_lsn),
    commitLsn: lsnOf(file.commit_lsn),
    peerHorizonLsn: lsnOf(file.peer_horizon_lsn),
  };
}
