import { crc32 } from "node:zlib";

/** Deflate's limit for a block that is not compressed. */
const STORED_BLOCK = 65_535;
const TRAILER = 8;

/** A gzip header without name and time; `extra` becomes its extra field. */
export function gzipHeader(extra?: Uint8Array): Buffer {
  const header = Buffer.from([0x1f, 0x8b, 8, extra ? 4 : 0, 0, 0, 0, 0, 0, 255]);
  if (!extra) return header;
  const length = Buffer.alloc(2);
  length.writeUInt16LE(extra.length);
  return Buffer.concat([header, length, extra]);
}

/** What ends a gzip member that holds `content`. */
export function gzipTrailer(content: Uint8Array): Buffer {
  const trailer = Buffer.alloc(TRAILER);
  trailer.writeUInt32LE(crc32(content), 0);
  trailer.writeUInt32LE(content.length >>> 0, 4);
  return trailer;
}

/**
 * One gzip member that holds `content` as it is. For the headers between chunks: compressing them costs more time than
 * sending them costs bytes.
 */
export function storedGzipMember(content: Uint8Array): Buffer {
  const parts: Uint8Array[] = [gzipHeader()];
  let at = 0;
  do {
    const piece = content.subarray(at, at + STORED_BLOCK);
    at += piece.length;
    const head = Buffer.alloc(5);
    head.writeUInt8(at >= content.length ? 1 : 0, 0);
    head.writeUInt16LE(piece.length, 1);
    head.writeUInt16LE(~piece.length & 0xffff, 3);
    parts.push(head, piece);
  } while (at < content.length);
  parts.push(gzipTrailer(content));
  return Buffer.concat(parts);
}
