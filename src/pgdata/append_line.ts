import { readFile, stat } from "node:fs/promises";
import { replaceFile } from "../disk/atomic_file.ts";

/** Whether one of the lines of a text equals `line`; a line may end in CR LF. */
export function hasLine(text: string, line: string): boolean {
  return text.split("\n").some((candidate) => candidate.replace(/\r$/, "") === line);
}

/**
 * Text with one more last line, without a newline behind it: the original's rule, so a text that ended in a newline gets
 * a blank line (contract: postgres-config.md 2.4). The same text when it has that line already.
 */
export function withLine(text: string, line: string): string {
  if (hasLine(text, line)) return text;
  return text === "" ? line : `${text}\n${line}`;
}

/**
 * Rewrites a file of PGDATA atomically, its mode and owner kept, unless `edit` gives the same text back. PGDATA never
 * outlives its compute, so nothing is synced.
 *
 * @returns whether the file changed
 */
export async function editFile(path: string, edit: (text: string) => string): Promise<boolean> {
  const text = await readFile(path, "utf8");
  const edited = edit(text);
  if (edited === text) return false;
  const { mode, uid, gid } = await stat(path);
  // Only root may give files away; anyone else owns what they can replace.
  const owner = process.geteuid?.() === 0 ? { uid, gid } : undefined;
  await replaceFile(path, edited, { mode: mode & 0o777, owner, durable: false });
  return true;
}
