import type { Lsn } from "../../wire/lsn.ts";
import { segmentStart, WAL_SEGMENT_SIZE } from "../../wire/wal/segment.ts";
import type { WalReader } from "../wal_reader.ts";

/** A segment is handed on in pieces of this size. */
const WAL_PIECE = 256 * 1024;

/** One piece of zeros: the same buffer each time, so that writers can recognize it. */
export const ZERO_PIECE: Buffer = Buffer.alloc(WAL_PIECE);

/**
 * The bytes of one segment from its start to the cut, then zeros up to its full size. What lies behind the cut on disk is
 * never read: it belongs to another future.
 */
export async function* walPieces(
  reader: WalReader,
  segment: bigint,
  cut: Lsn,
): AsyncGenerator<Buffer, void, undefined> {
  const start = segmentStart(segment);
  const distance = cut - start;
  const end = distance >= BigInt(WAL_SEGMENT_SIZE) ? WAL_SEGMENT_SIZE : Number(distance);
  for (let at = 0; at < WAL_SEGMENT_SIZE; at += WAL_PIECE) {
    if (at >= end) {
      yield ZERO_PIECE;
      continue;
    }
    const bytes = await reader.read(start + BigInt(at), start + BigInt(Math.min(at + WAL_PIECE, end)));
    const piece = bytes.length === WAL_PIECE ? bytes : Buffer.concat([bytes, ZERO_PIECE], WAL_PIECE);
    yield piece.equals(ZERO_PIECE) ? ZERO_PIECE : piece;
  }
}
