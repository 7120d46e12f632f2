import { renderBackupLabel } from "../../wire/backup_label.ts";
import type { Lsn } from "../../wire/lsn.ts";
import type { TarEntry } from "../../wire/tar.ts";
import { segmentNumber, segmentStart, WAL_SEGMENT_SIZE, walSegmentName } from "../../wire/wal/segment.ts";
import type { ChunkId } from "../chunk.ts";
import { type Image, lsnOf } from "../image.ts";

/** Where a member's bytes come from. */
type MemberContent =
  | { readonly from: "memory"; readonly bytes: Buffer }
  | { readonly from: "chunks"; readonly chunks: readonly ChunkId[] }
  /** A stored segment up to `cut`, zeros behind it. */
  | { readonly from: "wal"; readonly segment: bigint; readonly cut: Lsn };

export interface BackupMember {
  readonly entry: TarEntry;
  readonly content?: MemberContent;
}

export interface BackupPlan {
  readonly image: Image;
  /** The state to restore: all WAL before it, nothing of what follows. */
  readonly lsn: Lsn;
  /** Seconds since 1970, the time of every member. */
  readonly mtime: number;
  /** For a standby: `pg_control` as of a server that was running. Undefined: for a primary. */
  readonly standbyControlFile?: Buffer | undefined;
}

export const CONTROL_FILE = "global/pg_control";

/** In the contract's order (contract: storage-protocols.md 2.2). */
const DIRECTORIES = [
  "global",
  "pg_wal/archive_status",
  "pg_wal/summaries",
  "pg_commit_ts",
  "pg_dynshmem",
  "pg_notify",
  "pg_serial",
  "pg_snapshots",
  "pg_subtrans",
  "pg_twophase",
  "pg_multixact",
  "pg_multixact/members",
  "pg_multixact/offsets",
  "base",
  "base/1",
  "pg_replslot",
  "pg_tblspc",
  "pg_stat",
  "pg_stat_tmp",
  "pg_xact",
  "pg_logical",
  "pg_logical/snapshots",
  "pg_logical/mappings",
];

const HBA = `# TYPE  DATABASE        USER            ADDRESS                 METHOD
local   all             all                                     trust
host    all             all             127.0.0.1/32            trust
host    all             all             ::1/128                 trust
local   replication     all                                     trust
host    replication     all             127.0.0.1/32            trust
host    replication     all             ::1/128                 trust
`;

/**
 * What a base backup consists of, in order. From it plain crash recovery makes the state at `lsn`, on the same PostgreSQL
 * timeline: the label makes recovery start at the image's redo position whatever `pg_control` says (an image of a stopped
 * server would ignore newer WAL), and the last segment ends in zeros and has its full size (a short one loses its last
 * page). Both losses are silent (contract: stock-postgres.md 3b, 3c).
 *
 * A standby gets no label: it would take the first shutdown checkpoint of the WAL, which every start of a primary writes, for
 * the cancellation of the backup, and panic. Its `pg_control` says that the server was running; then it replays all WAL
 * that it has as after a crash, is consistent at `lsn`, and only then goes on as a standby.
 */
export function backupMembers({ image, lsn, mtime, standbyControlFile }: BackupPlan): BackupMember[] {
  const directory = (path: string): BackupMember => ({
    entry: { path, type: "directory", size: 0, mode: 0o755, mtime, linkName: "" },
  });
  const file = (path: string, size: number, content: MemberContent, mode = 0o600): BackupMember => ({
    entry: { path, type: "file", size, mode, mtime, linkName: "" },
    content,
  });
  const text = (path: string, content: string): BackupMember => {
    const bytes = Buffer.from(content);
    return file(path, bytes.length, { from: "memory", bytes });
  };
  const stored = image.files.map(({ path, size, mode, chunks }) => file(path, size, { from: "chunks", chunks }, mode));
  const control =
    standbyControlFile === undefined
      ? undefined
      : file(CONTROL_FILE, standbyControlFile.length, { from: "memory", bytes: standbyControlFile });
  const isControlFile = (member: BackupMember): boolean => member.entry.path === CONTROL_FILE;
  return [
    ...allDirectories(image).map(directory),
    text("pg_hba.conf", HBA),
    text("pg_ident.conf", ""),
    text("postgresql.auto.conf", ""),
    ...stored.filter((member) => !isControlFile(member)),
    ...(control ? [] : [text("backup_label", label(image))]),
    // Near the end, so that a torn backup cannot start.
    ...(control ? [control] : stored.filter(isControlFile)),
    ...segmentsOf(image, lsn).map((segment) =>
      file(`pg_wal/${walSegmentName(segment)}`, WAL_SEGMENT_SIZE, { from: "wal", segment, cut: lsn }),
    ),
  ];
}

/** Segments from the image's redo position to the one that `lsn` lies in, which may hold nothing but zeros. */
function segmentsOf(image: Image, lsn: Lsn): bigint[] {
  const segments: bigint[] = [];
  for (let segment = segmentNumber(lsnOf(image.redo)); segmentStart(segment) < lsn; segment++) segments.push(segment);
  return segments;
}

function allDirectories(image: Image): string[] {
  const listed = DIRECTORIES.filter((path) => path !== "pg_wal/summaries" || image.pg_version >= 17);
  return [...listed, ...image.directories.filter((path) => !listed.includes(path))];
}

function label(image: Image): string {
  return renderBackupLabel({
    start: lsnOf(image.redo),
    checkpoint: lsnOf(image.checkpoint),
    // "streamed" would make recovery look for the end of a backup that never began.
    method: "pg_rewind",
    from: "primary",
    label: "neon-store",
  });
}
