import * as z from "zod";
import { lsnText } from "../image.ts";
import { requireRecord } from "../record_file.ts";

const u64 = z.string().regex(/^\d{1,20}$/);

/** `acceptor.json`: what an acceptor must not forget (contract: storage-protocols.md 5.7.2). flush_lsn is found by a scan. */
const acceptorSchema = z.strictObject({
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

/** @throws StoreError `damaged_file`, also when it is missing: an acceptor that forgot what it promised is none */
export async function readAcceptorFile(path: string): Promise<AcceptorFile> {
  return await requireRecord(path, acceptorSchema);
}
