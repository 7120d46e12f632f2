import { TAR_BLOCK, type TarEntry, TarError } from "./entry.ts";
import { applyOverrides, type EntryOverrides, type ExtendedHeader, readExtendedHeader } from "./extended_header.ts";
import { readTarHeader } from "./header_reader.ts";
import { tarPadding } from "./header_writer.ts";

/** What a {@link TarReader} tells. Every entry, also one without content, is ended by `endEntry`. */
export interface TarSink {
  entry(header: TarEntry): void;
  /** A view on the pushed chunk: copy what must outlive it if the chunk's memory is used again. */
  data(chunk: Buffer): void;
  endEntry(): void;
}

/** Names and a few numbers; it is held in memory. */
const MAX_EXTENDED_HEADER = 1024 * 1024;

export interface TarReaderOptions {
  /**
   * Understands the headers with which GNU tar and pax write long names and sizes (types `L`, `K`, `x`, `g`). Off unless
   * told: base backups have none, and something else in one is an error.
   */
  readonly extendedHeaders?: boolean;
}

/**
 * Reads an archive that is pushed in pieces of any size. Content is handed on as views, one call for each pushed chunk
 * and entry, never block by block. Errors ({@link TarError}) are final: after one, push nothing more.
 */
export class TarReader {
  readonly #sink: TarSink;
  readonly #held = Buffer.alloc(TAR_BLOCK);
  #heldBytes = 0;
  #content = 0;
  #padding = 0;
  #zeroBlocks = 0;
  #entryPath = "";
  readonly #understandsExtended: boolean;
  /** The extended header whose content is being read. */
  #extended: { readonly header: ExtendedHeader; readonly parts: Buffer[] } | undefined;
  /** What extended headers said about the next entry. */
  #overrides: EntryOverrides = {};

  constructor(sink: TarSink, options: TarReaderOptions = {}) {
    this.#sink = sink;
    this.#understandsExtended = options.extendedHeaders ?? false;
  }

  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#content > 0) {
        const end = Math.min(chunk.length, at + this.#content);
        this.#content -= end - at;
        this.#data(at === 0 && end === chunk.length ? chunk : chunk.subarray(at, end));
        at = end;
        if (this.#content === 0) this.#endEntry();
      } else if (this.#padding > 0) {
        const skipped = Math.min(chunk.length - at, this.#padding);
        this.#padding -= skipped;
        at += skipped;
      } else if (this.#zeroBlocks === 2) {
        for (; at < chunk.length; at++)
          if (chunk[at] !== 0) throw new TarError("tar_corrupt", "tar: data after the end of the archive");
      } else if (this.#heldBytes === 0 && chunk.length - at >= TAR_BLOCK) {
        this.#header(chunk, at);
        at += TAR_BLOCK;
      } else {
        const taken = chunk.copy(this.#held, this.#heldBytes, at, at + TAR_BLOCK - this.#heldBytes);
        this.#heldBytes += taken;
        at += taken;
        if (this.#heldBytes < TAR_BLOCK) return;
        this.#heldBytes = 0;
        this.#header(this.#held, 0);
      }
    }
  }

  /** Says that nothing follows. Throws `tar_truncated` unless the archive's end (two zero blocks) was seen. */
  finish(): void {
    if (this.#zeroBlocks === 2) return;
    const where =
      this.#content + this.#padding > 0 ? `inside ${JSON.stringify(this.#entryPath)}` : "before its end marker";
    throw new TarError("tar_truncated", `tar: the archive is cut off ${where}`);
  }

  #header(block: Buffer, offset: number): void {
    const header = readTarHeader(block, offset, this.#understandsExtended);
    if (header === undefined) {
      this.#zeroBlocks++;
      return;
    }
    if (this.#zeroBlocks > 0) throw new TarError("tar_corrupt", "tar: a lone zero block between entries");
    if ("mode" in header) {
      const entry = applyOverrides(header, this.#overrides);
      this.#overrides = {};
      this.#expect(entry.path, entry.size);
      this.#sink.entry(entry);
    } else {
      if (header.size > MAX_EXTENDED_HEADER) throw new TarError("tar_corrupt", "tar: an extended header is too large");
      this.#extended = { header, parts: [] };
      this.#expect(header.path, header.size);
    }
    if (this.#content === 0) this.#endEntry();
  }

  #expect(path: string, size: number): void {
    this.#entryPath = path;
    this.#content = size;
    this.#padding = tarPadding(size);
  }

  #data(chunk: Buffer): void {
    // Copied: it may have to wait for the next push.
    if (this.#extended) this.#extended.parts.push(Buffer.from(chunk));
    else this.#sink.data(chunk);
  }

  #endEntry(): void {
    if (!this.#extended) {
      this.#sink.endEntry();
      return;
    }
    const { header, parts } = this.#extended;
    this.#extended = undefined;
    this.#overrides = { ...this.#overrides, ...readExtendedHeader(header, Buffer.concat(parts)) };
  }
}
