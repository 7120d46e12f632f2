import { createZstdDecompress } from "node:zlib";
import { inflateWhole } from "../wire/inflate_whole.ts";

/** Inflates a zstd stream of one frame, complete and followed by nothing. Errors: `corrupt_zstd`, or the source's own. */
export function unzstd(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
  return inflateWhole(source, createZstdDecompress({ chunkSize: 256 * 1024 }), {
    code: "corrupt_zstd",
    trailing: "data after the end of the zstd frame",
    damaged: "the zstd stream is damaged, cut off or of several frames",
  });
}
