import { chmodSync, lchownSync, lstatSync, mkdirSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import type { Owner } from "../disk/atomic_file.ts";
import { CodedError } from "../errors/coded_error.ts";

/**
 * The directories below PGDATA that are known to be real ones. What stands in their place (a file, a symlink that was
 * planted or left by an earlier start) is removed, so that no path leads out of PGDATA.
 */
export class RealDirectories {
  readonly #root: string;
  readonly #owner: Owner | undefined;
  /** Relative paths. */
  readonly #known = new Set<string>([""]);

  constructor(root: string, owner: Owner | undefined) {
    if (!lstatSync(root).isDirectory()) throw new CodedError("not_a_directory", `${root} is not a directory`);
    this.#root = root;
    this.#owner = owner;
  }

  has(relative: string): boolean {
    return this.#known.has(relative);
  }

  /** Makes a directory and its parents. Without a mode: 0700 when it has to be created, else as it is. */
  ensure(relative: string, mode?: number): void {
    if (!this.#known.has(relative)) {
      this.ensureParent(relative);
      this.#create(relative, mode);
      this.#known.add(relative);
    } else if (mode !== undefined) {
      chmodSync(join(this.#root, relative), mode);
    }
  }

  /** The relative path of the directory that holds `relative`, made if it is missing. */
  ensureParent(relative: string): void {
    const slash = relative.lastIndexOf("/");
    if (slash > 0) this.ensure(relative.slice(0, slash));
  }

  #create(relative: string, mode: number | undefined): void {
    const path = join(this.#root, relative);
    let found = lstatSync(path, { throwIfNoEntry: false });
    if (found && !found.isDirectory()) {
      unlinkSync(path);
      found = undefined;
    }
    if (!found) mkdirSync(path, { mode: 0o700 });
    if (mode !== undefined && (found?.mode ?? 0o700) % 0o10000 !== mode) chmodSync(path, mode);
    const owner = this.#owner;
    if (owner && (found?.uid !== owner.uid || found.gid !== owner.gid)) lchownSync(path, owner.uid, owner.gid);
  }
}
