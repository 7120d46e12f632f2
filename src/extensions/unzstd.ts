import { pipeline } from "node:stream/promises";
import { createZstdDecompress } from "node:zlib";
import { CodedError } from "../errors/coded_error.ts";

/**
 * Inflates a zstd stream of one frame, which must be complete and followed by nothing: `zlib` alone would ignore what
 * follows. Errors: `corrupt_zstd`, or the source's own.
 */
export async function* unzstd(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
  const inflate = createZstdDecompress({ chunkSize: 256 * 1024 });
  let given = 0;
  let sourceFailed = false;
  async function* counted(): AsyncGenerator<Buffer, void, void> {
    try {
      for await (const chunk of source) {
        given += chunk.length;
        yield chunk;
      }
    } catch (error) {
      sourceFailed = true;
      throw error;
    }
  }
  const fed = pipeline(counted, inflate);
  // Its error also ends the iteration below.
  fed.catch(() => undefined);
  try {
    for await (const chunk of inflate) yield chunk as Buffer;
    if (inflate.bytesWritten !== given) throw new CodedError("corrupt_zstd", "data after the end of the zstd frame");
    await fed;
  } catch (error) {
    if (sourceFailed || error instanceof CodedError) throw error;
    throw new CodedError("corrupt_zstd", "the zstd stream is damaged, cut off or of several frames", { cause: error });
  } finally {
    inflate.destroy();
  }
}
