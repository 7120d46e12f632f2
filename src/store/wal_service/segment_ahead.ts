import { existsSync, renameSync } from "node:fs";
import { open, rm } from "node:fs/promises";
import { syncDirectory } from "../../disk/atomic_file.ts";
import { syncDirectorySync } from "../../disk/atomic_file_sync.ts";
import { errorChain } from "../../errors/coded_error.ts";
import type { Logger } from "../../telemetry/log.ts";
import { segmentStart, WAL_SEGMENT_SIZE } from "../../wire/wal/segment.ts";
import { temporarySegment } from "./segment_files.ts";

const PIECE = Buffer.alloc(1024 * 1024);

/**
 * Prepares the next segment while the current one is written: full of zeros that have their place on disk, so that a commit
 * into it moves no metadata (without that, commits take 1.5 times as long; contract: stock-postgres.md 6). Best effort:
 * when it fails or is late, the writer makes the segment itself.
 */
export class SegmentAhead {
  readonly #dir: string;
  readonly #segment: (segment: bigint) => string;
  readonly #log: Logger;
  #wanted: bigint | undefined;
  /** Is not tried again: a full disk would be kept busy by that. */
  #failed: bigint | undefined;
  /** `renamed` stands under its name, but the name may not be durable yet. */
  #state: "making" | "renamed" | "ready" = "making";
  #work: Promise<void> | undefined;

  constructor(dir: string, segment: (segment: bigint) => string, log: Logger) {
    this.#dir = dir;
    this.#segment = segment;
    this.#log = log;
  }

  /** Begins to prepare this segment, unless something else is still under way. */
  want(segment: bigint): void {
    if (this.#wanted === segment || this.#failed === segment || this.#work || existsSync(this.#segment(segment)))
      return;
    this.#wanted = segment;
    this.#state = "making";
    this.#work = this.#make(segment)
      .catch((error: unknown) => {
        if (this.#wanted === segment) this.#wanted = undefined;
        this.#failed = segment;
        this.#log.warn("could not prepare the next WAL segment, will make it when it is needed", {
          segment: this.#segment(segment),
          error: errorChain(error),
        });
      })
      .finally(() => {
        this.#work = undefined;
      });
  }

  /** True when the segment was prepared; it is durable then, and the caller's. */
  take(segment: bigint): boolean {
    if (this.#wanted !== segment) return false;
    this.#wanted = undefined;
    if (this.#state === "making") return false;
    if (this.#state === "renamed") syncDirectorySync(this.#dir);
    return true;
  }

  /** What was prepared is not wanted any more; the caller removes segments. */
  forget(): void {
    this.#wanted = undefined;
  }

  /** Settles when nothing is under way. */
  async settled(): Promise<void> {
    this.#wanted = undefined;
    await this.#work;
  }

  async #make(segment: bigint): Promise<void> {
    const temporary = temporarySegment(this.#dir, segment);
    try {
      const file = await open(temporary, "wx", 0o600);
      try {
        for (let at = 0; at < WAL_SEGMENT_SIZE; at += PIECE.length) {
          if (this.#wanted !== segment) return;
          await file.write(PIECE, 0, PIECE.length, at);
        }
        await file.sync();
      } finally {
        await file.close();
      }
      // No other code runs between these two lines: nobody can have made the segment meanwhile.
      if (this.#wanted !== segment || existsSync(this.#segment(segment))) return;
      renameSync(temporary, this.#segment(segment));
      this.#state = "renamed";
    } finally {
      await rm(temporary, { force: true });
    }
    await syncDirectory(this.#dir);
    if (this.#wanted === segment) this.#state = "ready";
    this.#log.debug("prepared a WAL segment", { from: String(segmentStart(segment)) });
  }
}
