import { posix } from "node:path";
import { CodedError } from "../errors/coded_error.ts";
import type { TarEntry } from "../wire/tar.ts";

/** The two directories of an installation that an archive may add to. */
export type ArchiveRoot = "extension" | "lib";

/** Where an entry belongs. */
export interface ArchivePlace {
  readonly root: ArchiveRoot;
  /** Plain names with slashes between, not empty. */
  readonly path: string;
}

const ROOTS: readonly (readonly [prefix: string, root: ArchiveRoot])[] = [
  ["share/extension/", "extension"],
  ["lib/", "lib"],
];

/**
 * The place of an entry below `share/extension` or `lib`; undefined for one that is neither's (contract: http-api.md
 * 11.3). Wherever it belongs, an entry that could reach outside its tree spoils the archive.
 *
 * @throws CodedError `unsafe_entry`
 */
export function archivePlace(entry: TarEntry): ArchivePlace | undefined {
  const path = plainPath(entry);
  for (const [prefix, root] of ROOTS) {
    if (path.startsWith(prefix)) {
      if (entry.type === "symlink") requireInside(entry, path, prefix);
      return { root, path: path.slice(prefix.length) };
    }
    // The root itself, or one of its parents.
    if (prefix.startsWith(`${path}/`) && entry.type !== "directory")
      throw unsafe(entry, `a ${entry.type} where a directory belongs`);
  }
  return undefined;
}

/** The place of the file that a hard link repeats. */
export function linkedPlace(entry: TarEntry): ArchivePlace {
  const place = archivePlace({ ...entry, type: "file", path: entry.linkName });
  if (place === undefined) throw unsafe(entry, "a hard link to something that is not delivered");
  return place;
}

/** Without `./` before and `/` behind. */
function plainPath(entry: TarEntry): string {
  const path = entry.path.replace(/^(?:\.\/)+/, "").replace(entry.type === "directory" ? /\/+$/ : /$^/, "");
  if (entry.type === "directory" && (path === "" || path === ".")) return "";
  for (const name of path.split("/"))
    if (name === "" || name === "." || name === ".." || name.includes("\0"))
      throw unsafe(entry, "a path that is not plain");
  return path;
}

/**
 * A symlink may go up first and then only down, and must stay in its tree. With `..` further on it could pass through
 * another symlink and come out elsewhere than it seems.
 */
function requireInside(entry: TarEntry, path: string, prefix: string): void {
  const names = entry.linkName.replace(/^(?:\.\.\/)*/, "").split("/");
  const isPlain = names.every((name) => name !== "" && name !== "." && name !== "..");
  const target = posix.join(posix.dirname(path), entry.linkName);
  if (!isPlain || !target.startsWith(prefix)) throw unsafe(entry, `a symlink to ${JSON.stringify(entry.linkName)}`);
}

export function unsafe(entry: TarEntry, what: string): CodedError {
  return new CodedError("unsafe_entry", `the archive holds ${what}: ${JSON.stringify(entry.path)}`);
}
