import { setImmediate } from "node:timers/promises";
import { TarReader } from "../wire/tar.ts";
import { type ExtensionDirectories, StagedArchive } from "./staged_archive.ts";
import { unzstd } from "./unzstd.ts";

const SLICE_BYTES = 64 * 1024;
/** Longest time that other work of the process waits. */
const TURN_MS = 5;

/** Figures of one unpacked archive. */
export interface UnpackedArchive {
  /** As received, compressed. */
  readonly bytes: number;
  readonly files: number;
}

/**
 * Unpacks a `.tar.zst` into an installation while it arrives. Nothing is put in place before the archive was read to its
 * end and found whole and harmless; nothing of a failed one is left (contract: http-api.md 11.4).
 *
 * @throws the source's errors; CodedError `corrupt_zstd`, `tar_*`, `unsafe_entry`, `extension_directory`
 */
export async function unpackArchive(
  source: AsyncIterable<Buffer>,
  directories: ExtensionDirectories,
): Promise<UnpackedArchive> {
  let bytes = 0;
  async function* counted(): AsyncGenerator<Buffer, void, void> {
    for await (const chunk of source) {
      bytes += chunk.length;
      yield chunk;
    }
  }
  const staged = new StagedArchive(directories);
  const reader = new TarReader(staged, { extendedHeaders: true });
  let busyMs = 0;
  try {
    for await (const chunk of unzstd(counted())) {
      for (let at = 0; at < chunk.length; at += SLICE_BYTES) {
        const started = performance.now();
        reader.push(chunk.subarray(at, at + SLICE_BYTES));
        busyMs += performance.now() - started;
        if (busyMs > TURN_MS) {
          busyMs = 0;
          await setImmediate();
        }
      }
    }
    reader.finish();
    return { bytes, files: staged.install() };
  } finally {
    staged.discard();
  }
}
