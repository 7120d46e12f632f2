import { CONTROL_STATE_IN_PRODUCTION, patchControlFile } from "../../wire/control_file.ts";
import type { Lsn } from "../../wire/lsn.ts";
import { TAR_END, tarHeader, tarPadding } from "../../wire/tar.ts";
import type { ChunkStore } from "../chunk_store.ts";
import { type Image, lsnOf } from "../image.ts";
import type { Timeline } from "../timeline.ts";
import { WalReader } from "../wal_reader.ts";
import { type ArchiveForm, gzipArchive, plainArchive, type TarPiece } from "./archive.ts";
import { type BackupMember, backupMembers, CONTROL_FILE } from "./members.ts";
import { joined, orderedMap } from "./ordered.ts";
import { walPieces } from "./wal_pieces.ts";

/** Pieces read and converted ahead of the one that is being sent; each is at most 256 KiB. */
const AHEAD = 12;
/** Small pieces are joined: hundreds of tiny messages would cost more than their bytes. */
const MESSAGE = 128 * 1024;

export interface BaseBackup {
  /** The archive in pieces; may be read once. */
  readonly data: AsyncGenerator<Buffer, void, undefined>;
  /** To be called when the backup is over, read to its end or not. */
  close(): Promise<void>;
}

export interface BaseBackupRequest {
  readonly timeline: Timeline;
  readonly chunks: ChunkStore;
  /** As resolved by {@link Timeline.resolveLsn}. */
  readonly lsn: Lsn;
  readonly gzip: boolean;
  /** For a standby, which must be started in another way. */
  readonly replica: boolean;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** Opens all that can be opened beforehand, so that most failures come before the first byte is sent. */
export async function openBaseBackup(request: BaseBackupRequest): Promise<BaseBackup> {
  const { timeline, lsn } = request;
  const image = await timeline.imageFor(lsn);
  await timeline.checkWal(lsnOf(image.redo));
  const reader = new WalReader(timeline.spans);
  const standbyControlFile = request.replica ? await runningControlFile(image, request.chunks) : undefined;
  const members = backupMembers({ image, lsn, mtime: Math.floor(request.now / 1000), standbyControlFile });
  const form = request.gzip ? gzipArchive : plainArchive;
  const data = archive(members, form, request, reader);
  const close = async (): Promise<void> => {
    await data.return();
    await reader.close();
  };
  return { data, close };
}

/** The image's `pg_control`, as if its server had never been stopped. */
async function runningControlFile(image: Image, chunks: ChunkStore): Promise<Buffer> {
  const stored = image.files.find(({ path }) => path === CONTROL_FILE);
  const content = await Promise.all((stored?.chunks ?? []).map((id) => chunks.content(id)));
  return patchControlFile(Buffer.concat(content), { state: CONTROL_STATE_IN_PRODUCTION });
}

async function* archive(
  members: readonly BackupMember[],
  form: ArchiveForm,
  request: BaseBackupRequest,
  reader: WalReader,
): AsyncGenerator<Buffer, void, undefined> {
  const pieces = tarPieces(members, reader);
  yield* joined(
    orderedMap(pieces, AHEAD, async (piece) => await form(piece, request.chunks)),
    MESSAGE,
  );
}

async function* tarPieces(
  members: readonly BackupMember[],
  reader: WalReader,
): AsyncGenerator<TarPiece, void, undefined> {
  // Headers and paddings between two contents go out as one piece.
  let between: Buffer[] = [];
  const flush = (): TarPiece => {
    const bytes = Buffer.concat(between);
    between = [];
    return { kind: "bytes", bytes };
  };
  for (const { entry, content } of members) {
    between.push(tarHeader(entry));
    if (content?.from === "memory") between.push(content.bytes);
    else if (content?.from === "chunks") {
      if (content.chunks.length > 0) yield flush();
      for (const id of content.chunks) yield { kind: "chunk", id };
    } else if (content) {
      yield flush();
      for await (const bytes of walPieces(reader, content.segment, content.cut)) yield { kind: "wal", bytes };
    }
    const padding = tarPadding(entry.size);
    if (padding > 0) between.push(Buffer.alloc(padding));
  }
  between.push(TAR_END);
  yield flush();
}
