import type { Lsn } from "../lsn.ts";
import { formatLsn } from "../lsn.ts";
import type { ByteReader } from "./byte_reader.ts";
import type { ByteWriter } from "./byte_writer.ts";
import { invalidMessage } from "./invalid_message.ts";

/** From `lsn` on the WAL was written in `term`. */
interface TermStart {
  readonly term: bigint;
  readonly lsn: Lsn;
}

/** Where each term begins: terms ascend, LSNs never descend (two terms without WAL between them share one). */
export type TermHistory = readonly TermStart[];

export function readHistory(reader: ByteReader): TermHistory {
  const history: TermStart[] = [];
  for (let left = reader.count(16, "term history"); left > 0; left--)
    history.push({ term: reader.u64("history term"), lsn: reader.u64("history lsn") });
  checkHistory(history);
  return history;
}

export function writeHistory(writer: ByteWriter, history: TermHistory): void {
  checkHistory(history);
  writer.u32(history.length);
  for (const entry of history) writer.u64(entry.term).u64(entry.lsn);
}

/** Throws unless the entries ascend. */
function checkHistory(history: TermHistory): void {
  let last: TermStart | undefined;
  for (const entry of history) {
    if (last && (entry.term <= last.term || entry.lsn < last.lsn))
      throw invalidMessage(
        `term history does not ascend: (${last.term}, ${formatLsn(last.lsn)}) before (${entry.term}, ${formatLsn(entry.lsn)})`,
      );
    last = entry;
  }
}
