import type { FileHandle } from "node:fs/promises";
import type { Lsn } from "../wire/lsn.ts";
import { segmentNumber, segmentOffset, segmentStart } from "../wire/wal/segment.ts";
import { openSegment, readRange, requireSegment } from "./wal_segment_file.ts";
import { type WalSpans, walFileAt } from "./wal_span.ts";

/** Files of a history that one reader keeps open: the current one, and its neighbour at a branch point. */
const KEPT_OPEN = 2;

/** Reads the WAL of a history, wherever it lies. To be closed. */
export class WalReader {
  readonly #spans: WalSpans;
  readonly #files = new Map<string, FileHandle>();

  constructor(spans: WalSpans) {
    this.#spans = spans;
  }

  /** The file that holds the byte at `lsn`, for messages. */
  path(lsn: Lsn): string {
    return walFileAt(this.#spans, lsn).path;
  }

  /** False when the segment of the byte at `lsn` is not there. Throws `damaged_file` when it has not its full size. */
  async exists(lsn: Lsn): Promise<boolean> {
    const { path } = walFileAt(this.#spans, lsn);
    if (this.#files.has(path)) return true;
    const file = await openSegment(path);
    if (file) await this.#keep(path, file);
    return file !== undefined;
  }

  /** Exactly the bytes from `start` to `end`, which lie in one segment. Throws `damaged_file`. */
  async read(start: Lsn, end: Lsn): Promise<Buffer> {
    const first = walFileAt(this.#spans, start);
    if (first.until === undefined || first.until >= end) return await this.#readFile(first.path, start, end);
    const parts: Buffer[] = [];
    for (let at = start; at < end; ) {
      const { path, until } = walFileAt(this.#spans, at);
      const stop = until !== undefined && until < end ? until : end;
      parts.push(await this.#readFile(path, at, stop));
      at = stop;
    }
    return Buffer.concat(parts);
  }

  async close(): Promise<void> {
    const files = [...this.#files.values()];
    this.#files.clear();
    for (const file of files) await file.close();
  }

  async #readFile(path: string, start: Lsn, end: Lsn): Promise<Buffer> {
    let file = this.#files.get(path);
    if (!file) {
      file = await requireSegment(path);
      await this.#keep(path, file);
    }
    const base = segmentStart(segmentNumber(start));
    return await readRange(file, path, segmentOffset(start), Number(end - base));
  }

  async #keep(path: string, file: FileHandle): Promise<void> {
    this.#files.set(path, file);
    for (const [oldPath, old] of this.#files) {
      if (this.#files.size <= KEPT_OPEN) break;
      this.#files.delete(oldPath);
      await old.close();
    }
  }
}
