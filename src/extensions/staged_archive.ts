import {
  chmodSync,
  closeSync,
  copyFileSync,
  fchmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  symlinkSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { CodedError, errorCode } from "../errors/coded_error.ts";
import type { TarEntry, TarSink } from "../wire/tar.ts";
import { type ArchivePlace, type ArchiveRoot, archivePlace, linkedPlace, unsafe } from "./archive_entry.ts";
import { moveIntoPlace, type StagedPath } from "./move_into_place.ts";

/** Where an installation looks for extensions. */
export interface ExtensionDirectories {
  /** `pg_config --sharedir`; control files and scripts lie in `extension` below it. */
  readonly sharedir: string;
  /** `pg_config --pkglibdir`. */
  readonly pkglibdir: string;
}

const NOT_WRITABLE: ReadonlySet<string | undefined> = new Set(["EACCES", "EPERM", "EROFS"]);

/**
 * Takes an archive's entries into a fresh private directory beside their destination, so that Postgres sees nothing of a
 * half-read archive, and two downloads nothing of each other. {@link StagedArchive.install} moves them, file by file.
 */
export class StagedArchive implements TarSink {
  readonly #destinations: Readonly<Record<ArchiveRoot, string>>;
  readonly #staging = new Map<ArchiveRoot, string>();
  /** By root and path; the last of equal names counts. */
  readonly #staged = new Map<string, StagedPath>();
  #file: { readonly fd: number; readonly mode: number } | undefined;

  constructor({ sharedir, pkglibdir }: ExtensionDirectories) {
    this.#destinations = { extension: join(sharedir, "extension"), lib: pkglibdir };
  }

  entry(entry: TarEntry): void {
    const place = archivePlace(entry);
    if (place === undefined) return;
    const path = join(this.#stagingOf(place.root), place.path);
    this.#makeParents(place, entry);
    if (entry.type === "directory") {
      this.#makeDirectory(place, entry);
      return;
    }
    if (this.#staged.get(key(place))?.kind === "directory") throw unsafe(entry, "a file with the name of a directory");
    rmSync(path, { force: true });
    if (entry.type === "symlink") symlinkSync(entry.linkName, path);
    else if (entry.type === "hardlink") this.#copyLinked(entry, path);
    // Readable for everybody, whoever runs Postgres; never set-user-id.
    else this.#file = { fd: openSync(path, "wx"), mode: entry.mode & 0o111 ? 0o755 : 0o644 };
    this.#stage(place, "file");
  }

  data(chunk: Buffer): void {
    if (this.#file === undefined) return;
    for (let at = 0; at < chunk.length; ) at += writeSync(this.#file.fd, chunk, at);
  }

  endEntry(): void {
    if (this.#file === undefined) return;
    const { fd, mode } = this.#file;
    this.#file = undefined;
    try {
      fchmodSync(fd, mode);
    } finally {
      closeSync(fd);
    }
  }

  /**
   * Puts everything in its place, once the archive is known to be whole. Libraries come first and control files last:
   * what makes an extension visible finds the rest there.
   *
   * @returns how many files were put in place
   */
  install(): number {
    const order = (staged: StagedPath): number =>
      staged.kind === "directory" ? 0 : staged.root === "lib" ? 1 : staged.path.endsWith(".control") ? 3 : 2;
    const staged = [...this.#staged.values()].sort((a, b) => order(a) - order(b) || (a.path < b.path ? -1 : 1));
    for (const one of staged)
      moveIntoPlace(join(this.#stagingOf(one.root), one.path), join(this.#destinations[one.root], one.path), one.kind);
    return staged.filter(({ kind }) => kind === "file").length;
  }

  /** Removes what was not moved; to be called at the end in any case. */
  discard(): void {
    if (this.#file !== undefined) closeSync(this.#file.fd);
    this.#file = undefined;
    for (const path of this.#staging.values()) rmSync(path, { recursive: true, force: true });
  }

  #stagingOf(root: ArchiveRoot): string {
    const known = this.#staging.get(root);
    if (known !== undefined) return known;
    const destination = this.#destinations[root];
    try {
      mkdirSync(destination, { recursive: true });
      // In the destination itself, so that a rename is enough.
      const made = mkdtempSync(join(destination, ".compute_ctl-"));
      this.#staging.set(root, made);
      return made;
    } catch (cause) {
      throw directoryError(destination, cause);
    }
  }

  #makeParents({ root, path }: ArchivePlace, entry: TarEntry): void {
    const parent = dirname(path);
    if (parent === ".") return;
    const place = { root, path: parent };
    this.#makeParents(place, entry);
    this.#makeDirectory(place, entry);
  }

  #makeDirectory(place: ArchivePlace, entry: TarEntry): void {
    const path = join(this.#stagingOf(place.root), place.path);
    const found = lstatSync(path, { throwIfNoEntry: false });
    // A link there came with this archive, and would lead what follows elsewhere.
    if (found && !found.isDirectory()) throw unsafe(entry, "a path through something that is no directory");
    if (found) return;
    mkdirSync(path);
    chmodSync(path, 0o755);
    this.#stage(place, "directory");
  }

  #copyLinked(entry: TarEntry, path: string): void {
    const original = linkedPlace(entry);
    const source = join(this.#stagingOf(original.root), original.path);
    // Only what this archive brought as a regular file: no link may be followed.
    const isFile = this.#staged.has(key(original)) && lstatSync(source, { throwIfNoEntry: false })?.isFile();
    if (!isFile) throw unsafe(entry, `a hard link to ${JSON.stringify(entry.linkName)}, which is no file of it`);
    copyFileSync(source, path);
  }

  #stage(place: ArchivePlace, kind: StagedPath["kind"]): void {
    this.#staged.set(key(place), { ...place, kind });
  }
}

/** Says who has to do what when the installation is not ours to change. */
export function directoryError(directory: string, cause: unknown): CodedError {
  const hint = NOT_WRITABLE.has(errorCode(cause)) ? ": the user of compute_ctl must be allowed to add files there" : "";
  return new CodedError("extension_directory", `cannot write to ${directory}${hint}`, { cause });
}

function key({ root, path }: ArchivePlace): string {
  return `${root}/${path}`;
}
