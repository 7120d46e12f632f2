import { closeSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import { CodedError } from "../../errors/coded_error.ts";
import { parseBackupLabel } from "../../wire/backup_label.ts";
import { formatLsn, type Lsn } from "../../wire/lsn.ts";
import { segmentNumber, segmentStart, walSegmentName } from "../../wire/wal/segment.ts";
import { WalWalker } from "../../wire/wal/walker.ts";

const READ_BYTES = 256 * 1024;

/** The WAL of an unpacked base backup, opened before the server starts and may remove segments. */
export interface BackupWal {
  /** Start of the last record before `end`; undefined when the backup holds none. */
  lastRecordBefore(end: Lsn): Lsn | undefined;
  close(): void;
}

/**
 * Opens the WAL of a base backup for finding its last record. Reading it takes about 3 ms a MB: do it while the server
 * recovers.
 */
export function openBackupWal(pgdata: string): BackupWal {
  const start = parseBackupLabel(readFileSync(join(pgdata, "backup_label"), "utf8")).start;
  const directory = join(pgdata, "pg_wal");
  const files = new Map<string, number>();
  for (const name of readdirSync(directory))
    if (/^[0-9A-F]{24}$/.test(name)) files.set(name, openSync(join(directory, name), "r"));
  return {
    lastRecordBefore(end) {
      const walker = new WalWalker(start);
      const buffer = Buffer.allocUnsafe(READ_BYTES);
      while (walker.position < end && walker.failure === undefined) {
        const segment = segmentNumber(walker.position);
        const file = files.get(walSegmentName(segment));
        if (file === undefined) break;
        const left = end - walker.position;
        const wanted = left < BigInt(READ_BYTES) ? Number(left) : READ_BYTES;
        const read = readSync(file, buffer, 0, wanted, Number(walker.position - segmentStart(segment)));
        if (read === 0) break;
        walker.push(buffer.subarray(0, read));
      }
      if (walker.failure !== undefined && walker.end < end)
        throw new CodedError(
          "backup_wal_damaged",
          `the base backup's WAL ends at ${formatLsn(walker.end)} instead of ${formatLsn(end)}: ${walker.failure.reason}`,
        );
      return walker.lastRecordStart;
    },
    close() {
      for (const file of files.values()) closeSync(file);
      files.clear();
    },
  };
}
