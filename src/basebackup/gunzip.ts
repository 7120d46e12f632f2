import { createGunzip } from "node:zlib";
import { inflateWhole } from "../wire/inflate_whole.ts";

/**
 * Inflates a gzip stream of one or more members. Every member must be complete, its checksum right, and nothing may
 * follow. Errors: `corrupt_gzip`, or the source's own.
 */
export function gunzip(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
  // Fewer, larger pieces: each is one trip through the thread pool.
  return inflateWhole(source, createGunzip({ chunkSize: 256 * 1024 }), {
    code: "corrupt_gzip",
    trailing: "data after the end of the gzip stream",
    damaged: "the gzip stream is damaged or cut off",
  });
}
