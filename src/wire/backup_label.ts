import { CodedError } from "../errors/coded_error.ts";
import { formatLsn, type Lsn, tryParseLsn } from "./lsn.ts";
import { segmentNumber, WAL_TIMELINE, walSegmentName } from "./wal/segment.ts";

/**
 * `backup_label`: tells recovery where to begin, whatever `pg_control` says. `streamed` means an online backup, which also
 * has to reach its end record; `pg_rewind` is the method for an image that is whole at the checkpoint
 * (contract: stock-postgres.md 3b).
 */
export interface BackupLabel {
  /** The redo position: first WAL byte that is needed. */
  readonly start: Lsn;
  /** Position of the checkpoint record itself. */
  readonly checkpoint: Lsn;
  readonly method: "streamed" | "pg_rewind";
  readonly from: "primary" | "standby";
  /** For people; the server only logs it. */
  readonly startTime?: string | undefined;
  readonly label?: string | undefined;
  readonly timeline?: number | undefined;
}

/** The file's text, lines in the order that the server's reader insists on. */
export function renderBackupLabel(label: BackupLabel): string {
  const timeline = label.timeline ?? WAL_TIMELINE;
  const file = walSegmentName(segmentNumber(label.start), timeline);
  const lines = [
    `START WAL LOCATION: ${formatLsn(label.start)} (file ${file})`,
    `CHECKPOINT LOCATION: ${formatLsn(label.checkpoint)}`,
    `BACKUP METHOD: ${label.method}`,
    `BACKUP FROM: ${label.from}`,
  ];
  if (label.startTime !== undefined) lines.push(`START TIME: ${label.startTime}`);
  if (label.label !== undefined) lines.push(`LABEL: ${label.label}`);
  lines.push(`START TIMELINE: ${timeline}`);
  return `${lines.join("\n")}\n`;
}

/** Reads what {@link renderBackupLabel}, `BASE_BACKUP` and `pg_rewind` write; error code `invalid_backup_label`. */
export function parseBackupLabel(text: string): BackupLabel {
  const fields = new Map(
    text
      .split("\n")
      .map((line) => [line, line.indexOf(": ")] as const)
      .filter(([, colon]) => colon > 0)
      .map(([line, colon]) => [line.slice(0, colon), line.slice(colon + 2).trim()] as const),
  );
  const start = tryParseLsn(fields.get("START WAL LOCATION")?.split(" ")[0] ?? "");
  const checkpoint = tryParseLsn(fields.get("CHECKPOINT LOCATION") ?? "");
  const method = fields.get("BACKUP METHOD");
  const from = fields.get("BACKUP FROM");
  if (start === undefined || checkpoint === undefined)
    throw invalid("backup_label lacks its start or checkpoint location");
  if (method !== "streamed" && method !== "pg_rewind") throw invalid("backup_label has an unknown backup method");
  if (from !== "primary" && from !== "standby") throw invalid("backup_label says neither primary nor standby");
  const timeline = fields.get("START TIMELINE");
  return {
    start,
    checkpoint,
    method,
    from,
    startTime: fields.get("START TIME"),
    label: fields.get("LABEL"),
    timeline: timeline === undefined ? undefined : Number(timeline),
  };
}

function invalid(message: string): CodedError {
  return new CodedError("invalid_backup_label", message);
}
