import { closeSync, ftruncateSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Owner } from "../disk/atomic_file.ts";
import { CodedError } from "../errors/coded_error.ts";
import type { TarEntry, TarSink } from "../wire/tar.ts";
import { type BackgroundFile, BackgroundWriter } from "./background_writer.ts";
import { entryPath } from "./entry_path.ts";
import { openOverwriting } from "./overwrite_file.ts";
import { RealDirectories } from "./real_directories.ts";

const CONTROL_FILE = "global/pg_control";

/** Files up to this size are written at once: cheaper than three trips through the thread pool. */
const SMALL_FILE_BYTES = 256 * 1024;
/** pg_control has 8 KiB in every supported version. */
const CONTROL_FILE_MAX_BYTES = 64 * 1024;

type Current =
  | { readonly kind: "none" | "directory" | "skipped" }
  | { readonly kind: "control"; readonly entry: TarEntry; readonly parts: Buffer[] }
  | { readonly kind: "small"; readonly fd: number; readonly mustBeCut: boolean; written: number }
  | { readonly kind: "large"; readonly file: BackgroundFile };

export interface DataDirectoryWriterOptions {
  readonly pgdata: string;
  /** Who shall own everything; needs root. */
  readonly owner?: Owner | undefined;
  /** Relative paths that the archive may hold but that stay as they are. */
  readonly skip: ReadonlySet<string>;
}

/**
 * Puts the entries of a base backup into PGDATA, over what is there. `global/pg_control` goes first and comes back last:
 * from the first byte until {@link DataDirectoryWriter.writeControlFile}, nothing there can be started.
 */
export class DataDirectoryWriter implements TarSink {
  /** Relative paths of all files and directories, also of parents that had no entry of their own. */
  readonly paths = new Set<string>();
  readonly background = new BackgroundWriter();
  readonly #options: DataDirectoryWriterOptions;
  readonly #directories: RealDirectories;
  readonly #files = new Set<string>();
  #current: Current = { kind: "none" };
  #control: { readonly mode: number; readonly content: Buffer } | undefined;

  constructor(options: DataDirectoryWriterOptions) {
    this.#options = options;
    this.#directories = new RealDirectories(options.pgdata, options.owner);
    this.#directories.ensureParent(CONTROL_FILE);
    rmSync(join(options.pgdata, CONTROL_FILE), { recursive: true, force: true });
  }

  entry(entry: TarEntry): void {
    const path = entryPath(entry);
    if (path === "") this.#current = { kind: "directory" };
    else if (entry.type === "directory") this.#directory(path, entry.mode);
    else if (this.#options.skip.has(path)) this.#current = { kind: "skipped" };
    else if (path === CONTROL_FILE) this.#controlFile(entry);
    else this.#file(path, entry);
  }

  data(chunk: Buffer): void {
    const current = this.#current;
    switch (current.kind) {
      case "small":
        for (let at = 0; at < chunk.length; ) at += writeSync(current.fd, chunk, at);
        current.written += chunk.length;
        break;
      case "large":
        this.background.append(current.file, chunk);
        break;
      case "control":
        current.parts.push(Buffer.from(chunk));
        break;
    }
  }

  endEntry(): void {
    const current = this.#current;
    this.#current = { kind: "none" };
    if (current.kind === "large") this.background.end(current.file);
    else if (current.kind === "control")
      this.#control = { mode: fileMode(current.entry), content: Buffer.concat(current.parts) };
    else if (current.kind === "small") {
      try {
        if (current.mustBeCut) ftruncateSync(current.fd, current.written);
      } finally {
        closeSync(current.fd);
      }
    }
  }

  /** The last step, once the stream is known to be whole. Throws `incomplete_base_backup` when there was no control file. */
  writeControlFile(): void {
    if (!this.#control) throw new CodedError("incomplete_base_backup", `the base backup holds no ${CONTROL_FILE}`);
    const { pgdata, owner } = this.#options;
    const { fd } = openOverwriting(join(pgdata, CONTROL_FILE), this.#control.mode, owner, true);
    try {
      const { content } = this.#control;
      for (let at = 0; at < content.length; ) at += writeSync(fd, content, at);
    } finally {
      closeSync(fd);
    }
  }

  /** Closes what is open after an error; never rejects. */
  async abandon(): Promise<void> {
    if (this.#current.kind === "small") closeSync(this.#current.fd);
    this.#current = { kind: "none" };
    await this.background.abandon();
  }

  #directory(path: string, mode: number): void {
    if (this.#files.has(path)) throw conflict(path);
    this.#addParents(path);
    this.#directories.ensure(path, (mode & 0o755) | 0o700);
    this.paths.add(path);
    this.#current = { kind: "directory" };
  }

  #controlFile(entry: TarEntry): void {
    if (entry.size > CONTROL_FILE_MAX_BYTES)
      throw new CodedError("incomplete_base_backup", `${CONTROL_FILE} of ${entry.size} bytes is none`);
    this.#addParents(CONTROL_FILE);
    this.paths.add(CONTROL_FILE);
    this.#current = { kind: "control", entry, parts: [] };
  }

  #file(path: string, entry: TarEntry): void {
    if (this.#directories.has(path)) throw conflict(path);
    this.#addParents(path);
    this.#directories.ensureParent(path);
    const { pgdata, owner } = this.#options;
    // A path that comes twice: the first file's last bytes may still be on their way, they go to the removed one.
    const { fd, oldSize } = openOverwriting(join(pgdata, path), fileMode(entry), owner, this.#files.has(path));
    this.#files.add(path);
    this.paths.add(path);
    this.#current =
      entry.size > SMALL_FILE_BYTES
        ? { kind: "large", file: this.background.open(fd, entry.size, oldSize) }
        : { kind: "small", fd, mustBeCut: oldSize > entry.size, written: 0 };
  }

  /** Notes the directories above a path; one of them must not have come as a file. */
  #addParents(path: string): void {
    for (let slash = path.lastIndexOf("/"); slash > 0; slash = path.lastIndexOf("/", slash - 1)) {
      const parent = path.slice(0, slash);
      if (this.#files.has(parent)) throw conflict(parent);
      if (this.paths.has(parent)) return;
      this.paths.add(parent);
    }
  }
}

/** Never setuid, never writable for others. */
function fileMode(entry: TarEntry): number {
  return (entry.mode & 0o750) | 0o600;
}

function conflict(path: string): CodedError {
  return new CodedError("unsafe_entry", `the base backup holds ${JSON.stringify(path)} as a file and as a directory`);
}
