import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { crc32, deflateRaw, inflateRaw, inflateRawSync } from "node:zlib";
import { gzipHeader, gzipTrailer } from "./gzip_member.ts";
import { damagedFile } from "./store_error.ts";

/** Content of a file is cut into pieces of this size; the last one is shorter. */
export const CHUNK_SIZE = 256 * 1024;

/** Name of a chunk: SHA-256 of its content, 64 hex digits. */
export type ChunkId = string;

export const chunkIdPattern = /^[0-9a-f]{64}$/;

export interface EncodedChunk {
  readonly id: ChunkId;
  /** One gzip member. */
  readonly member: Buffer;
}

const deflate = promisify(deflateRaw);
const inflate = promisify(inflateRaw);

/**
 * The gzip header's extra field: subfield "NS" with the content's SHA-256 and the CRC-32 of everything behind the header.
 * With it a chunk is checked at the speed of memory before it is sent, without being inflated.
 */
const SUBFIELD = Buffer.from("NS");
const PAYLOAD = 32 + 4;
const EXTRA = SUBFIELD.length + 2 + PAYLOAD;
const HEADER = 10 + 2 + EXTRA;
const REMEDY = "put it back from a copy of the store, or from another store that has a chunk of this name";
/** Below this a job for the thread pool costs more than the inflating itself. */
const INFLATE_INLINE = 32 * 1024;

export function chunkId(content: Uint8Array): ChunkId {
  return createHash("sha256").update(content).digest("hex");
}

/** Compresses at most {@link CHUNK_SIZE} bytes into the form in which they are stored and sent. */
export async function encodeChunk(content: Uint8Array, id = chunkId(content)): Promise<EncodedChunk> {
  const deflated = await deflate(content, { level: 1 });
  const rest = Buffer.concat([deflated, gzipTrailer(content)]);
  const extra = Buffer.alloc(EXTRA);
  SUBFIELD.copy(extra, 0);
  extra.writeUInt16LE(PAYLOAD, 2);
  extra.write(id, 4, "hex");
  extra.writeUInt32LE(crc32(rest), 36);
  return { id, member: Buffer.concat([gzipHeader(extra), rest]) };
}

/** Throws the error `damaged_file`, which names `path`, unless `member` is the whole chunk `id` as it was written. */
export function checkChunk(member: Buffer, id: ChunkId, path: string): void {
  if (member.length < HEADER + 8) throw damagedFile(path, `it has only ${member.length} bytes`, REMEDY);
  const extra = member.subarray(12, HEADER);
  if (
    !member.subarray(0, 12).equals(gzipHeader(extra).subarray(0, 12)) ||
    !extra.subarray(0, 2).equals(SUBFIELD) ||
    extra.readUInt16LE(2) !== PAYLOAD
  )
    throw damagedFile(path, "it does not begin like a chunk", REMEDY);
  if (extra.toString("hex", 4, 36) !== id) throw damagedFile(path, "it is another chunk than its name says", REMEDY);
  if (extra.readUInt32LE(36) !== crc32(member.subarray(HEADER)))
    throw damagedFile(path, "its checksum does not fit its content", REMEDY);
}

/** The content of a checked chunk. */
export async function inflateChunk(member: Buffer): Promise<Buffer> {
  const body = member.subarray(HEADER, member.length - 8);
  const size = member.readUInt32LE(member.length - 4);
  // Room for everything at once: with the default of 16 KiB a job goes to the thread pool and back 16 times.
  const options = { chunkSize: size + 64 };
  return size <= INFLATE_INLINE ? inflateRawSync(body, options) : await inflate(body, options);
}
