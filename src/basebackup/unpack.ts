import { performance } from "node:perf_hooks";
import { setImmediate } from "node:timers/promises";
import { TarReader } from "../wire/tar.ts";
import { DataDirectoryWriter, type DataDirectoryWriterOptions } from "./data_directory_writer.ts";
import { gunzip } from "./gunzip.ts";

/** Never in a pageserver's tar; it is written before the backup, and another's must not replace it (contract: lifecycle.md 7.1). */
const KEPT: ReadonlySet<string> = new Set(["postgresql.conf"]);

const SLICE_BYTES = 64 * 1024;
/** Longest time that other work of the process waits. */
const TURN_MS = 5;

export interface UnpackOptions extends Omit<DataDirectoryWriterOptions, "skip"> {
  /** Whether the source is a gzip stream or the plain tar. */
  readonly gzip: boolean;
  /** Relative paths that stay as they are; `postgresql.conf` unless told. */
  readonly skip?: ReadonlySet<string>;
  /**
   * Called when the stream is known to be whole and everything but `global/pg_control` is on disk: the moment to remove
   * what the backup does not hold, while nothing can be started yet.
   */
  readonly beforeControlFile?: ((paths: ReadonlySet<string>) => Promise<void>) | undefined;
}

export interface Unpacked {
  /** Relative paths of every file and directory in PGDATA that is the backup's. */
  readonly paths: ReadonlySet<string>;
  /** Bytes that the source gave. */
  readonly compressedBytes: number;
  /** Bytes of the tar. */
  readonly bytes: number;
}

/**
 * Unpacks a base backup into an existing PGDATA while it arrives, in bounded memory. The source must end normally only
 * when the server said that the backup is whole. On any error what was there before is spoilt, and there is no
 * `global/pg_control`: nothing can be started (contract: storage-protocols.md 1.4, 2.1; lifecycle.md 8).
 *
 * @throws the source's errors; `corrupt_gzip`, `tar_*`, `unsafe_entry`, `incomplete_base_backup`, or the file system's
 */
export async function unpackBaseBackup(source: AsyncIterable<Buffer>, options: UnpackOptions): Promise<Unpacked> {
  let compressedBytes = 0;
  let bytes = 0;
  async function* counted(): AsyncGenerator<Buffer, void, void> {
    for await (const chunk of source) {
      compressedBytes += chunk.length;
      yield chunk;
    }
  }
  const writer = new DataDirectoryWriter({ ...options, skip: options.skip ?? KEPT });
  const reader = new TarReader(writer);
  let busyMs = 0;
  try {
    for await (const chunk of options.gzip ? gunzip(counted()) : counted()) {
      bytes += chunk.length;
      for (let at = 0; at < chunk.length; at += SLICE_BYTES) {
        const started = performance.now();
        reader.push(chunk.length <= SLICE_BYTES ? chunk : chunk.subarray(at, at + SLICE_BYTES));
        busyMs += performance.now() - started;
        if (writer.background.behind) await writer.background.caughtUp();
        if (busyMs > TURN_MS) {
          busyMs = 0;
          await setImmediate();
        }
      }
    }
    reader.finish();
    await writer.background.drain();
    await options.beforeControlFile?.(writer.paths);
    writer.writeControlFile();
  } catch (error) {
    await writer.abandon();
    throw error;
  }
  return { paths: writer.paths, compressedBytes, bytes };
}
