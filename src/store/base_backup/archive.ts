import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { ChunkId } from "../chunk.ts";
import type { ChunkStore } from "../chunk_store.ts";
import { storedGzipMember } from "../gzip_member.ts";
import { ZERO_PIECE } from "./wal_pieces.ts";

/** A piece of the tar: bytes made here, a stored chunk, or WAL. */
export type TarPiece =
  | { readonly kind: "bytes"; readonly bytes: Buffer }
  | { readonly kind: "chunk"; readonly id: ChunkId }
  | { readonly kind: "wal"; readonly bytes: Buffer };

/** Turns pieces into what is sent. Called for several pieces at once; the results are put in order afterwards. */
export type ArchiveForm = (piece: TarPiece, chunks: ChunkStore) => Buffer | Promise<Buffer>;

const compress = promisify(gzip);

/** The tar itself. */
export const plainArchive: ArchiveForm = (piece, chunks) =>
  piece.kind === "chunk" ? chunks.content(piece.id) : piece.bytes;

let zeroMember: Promise<Buffer> | undefined;

/**
 * The tar as a series of gzip members: chunks go out as they lie on disk, what stands between them is not compressed, and
 * WAL is, because segments are mostly zeros when a timeline is young.
 */
export const gzipArchive: ArchiveForm = (piece, chunks) => {
  if (piece.kind === "chunk") return chunks.read(piece.id);
  if (piece.kind === "bytes") return storedGzipMember(piece.bytes);
  if (piece.bytes !== ZERO_PIECE) return compress(piece.bytes, { level: 1, chunkSize: piece.bytes.length });
  zeroMember ??= compress(ZERO_PIECE, { level: 9 });
  return zeroMember;
};
