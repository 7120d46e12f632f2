import { closeSync, fstatSync, openSync, writeSync } from "node:fs";
import { copyFile, open, rename, rm, truncate } from "node:fs/promises";
import { errorCode } from "../errors/coded_error.ts";

export interface LogFileOptions {
  /** Size from which a file is put aside; 10 MiB unless told. */
  readonly maxBytes?: number;
  /** How many files there are at most, the current one included; 5 unless told. */
  readonly files?: number;
}

const TAIL_BYTES = 8192;

/**
 * A log that a child writes to directly, through an inherited descriptor: a pipe through us would break under it when we
 * die, just when it has to shut Postgres down. So rotation copies and truncates; what is written in between the two is
 * lost, at most some lines in ten megabytes (contract: neon-local.md A3).
 */
export class LogFile {
  readonly path: string;
  /** Opened for append: several writers' lines do not overwrite each other, also after a truncation. */
  readonly fd: number;
  readonly #maxBytes: number;
  readonly #files: number;
  #closed = false;

  constructor(path: string, options: LogFileOptions = {}) {
    this.path = path;
    this.fd = openSync(path, "a", 0o600);
    this.#maxBytes = options.maxBytes ?? 10 * 1024 * 1024;
    this.#files = options.files ?? 5;
  }

  /** A line that cannot be written is lost: a full disk must not end the service (contract: neon-local.md A15). */
  write(text: string): void {
    if (this.#closed) return;
    try {
      writeSync(this.fd, text);
    } catch (error) {
      if (!["ENOSPC", "EDQUOT", "EIO"].includes(errorCode(error) ?? "")) throw error;
    }
  }

  size(): number {
    return fstatSync(this.fd).size;
  }

  /** `x.log` → `x.log.1` → … ; the oldest goes. */
  async rotateIfLarge(): Promise<void> {
    if (this.#closed || this.size() < this.#maxBytes) return;
    for (let age = this.#files - 1; age >= 1; age--) {
      const from = `${this.path}.${age}`;
      if (age === this.#files - 1) await rm(from, { force: true });
      else await renameIfThere(from, `${this.path}.${age + 1}`);
    }
    if (this.#files > 1) await copyFile(this.path, `${this.path}.1`);
    await truncate(this.path);
  }

  /** The last lines written since the file had `from` bytes. */
  async tail(from: number, lines: number): Promise<string[]> {
    const file = await open(this.path, "r");
    try {
      const { size } = await file.stat();
      // Shorter than before: it was rotated, and all of it is new.
      const start = Math.max(from <= size ? from : 0, size - TAIL_BYTES);
      const { buffer, bytesRead } = await file.read(Buffer.alloc(TAIL_BYTES), 0, size - start, start);
      const text = buffer.toString("utf8", 0, bytesRead).trimEnd();
      return text === "" ? [] : text.split("\n").slice(-lines);
    } finally {
      await file.close();
    }
  }

  /** Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.fd);
  }
}

async function renameIfThere(from: string, to: string): Promise<void> {
  await rename(from, to).catch((error: unknown) => {
    if (errorCode(error) !== "ENOENT") throw error;
  });
}
