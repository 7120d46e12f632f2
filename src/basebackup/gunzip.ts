import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { CodedError } from "../errors/coded_error.ts";

/**
 * Inflates a gzip stream of one or more members. Every member must be complete, its checksum right, and nothing may
 * follow: `zlib` alone would ignore it. Errors: `corrupt_gzip`, or the source's own.
 */
export async function* gunzip(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
  // Fewer, larger pieces: each is one trip through the thread pool.
  const inflate = createGunzip({ chunkSize: 256 * 1024 });
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
    if (inflate.bytesWritten !== given) throw new CodedError("corrupt_gzip", "data after the end of the gzip stream");
    await fed;
  } catch (error) {
    if (sourceFailed || error instanceof CodedError) throw error;
    throw new CodedError("corrupt_gzip", "the gzip stream is damaged or cut off", { cause: error });
  } finally {
    inflate.destroy();
  }
}
