import { pipeline } from "node:stream/promises";
import type { Gunzip, ZstdDecompress } from "node:zlib";
import { CodedError } from "../errors/coded_error.ts";

/** The error of a stream that is not what it should be. */
export interface CorruptStream {
  readonly code: string;
  /** Its text where bytes follow the stream's end. */
  readonly trailing: string;
  /** Its text where the stream itself is wrong. */
  readonly damaged: string;
}

/**
 * Inflates a compressed stream that must be complete and followed by nothing: `zlib` alone would ignore what follows.
 *
 * @throws CodedError with the code of `corrupt`, or the source's own error
 */
export async function* inflateWhole(
  source: AsyncIterable<Buffer>,
  inflate: Gunzip | ZstdDecompress,
  corrupt: CorruptStream,
): AsyncGenerator<Buffer, void, void> {
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
    if (inflate.bytesWritten !== given) throw new CodedError(corrupt.code, corrupt.trailing);
    await fed;
  } catch (error) {
    if (sourceFailed || error instanceof CodedError) throw error;
    throw new CodedError(corrupt.code, corrupt.damaged, { cause: error });
  } finally {
    inflate.destroy();
  }
}
