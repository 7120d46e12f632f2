import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { readProcess } from "./process_identity.ts";

/**
 * Removes `postmaster.pid` and the socket lock files (`.s.PGSQL.<port>.lock`, with its socket) of a server that is gone.
 * Postgres takes a lock file for valid as long as its pid exists, and a zombie's pid, or one that another program has got,
 * does (contract: stock-postgres.md, trap 9). Files of a running server stay, and those of other data directories.
 *
 * @param locks `pgdata` absolute, as Postgres was given it
 */
export async function removeStaleLocks(locks: {
  readonly pgdata: string;
  readonly port: number;
  readonly socketDirectories: readonly string[];
}): Promise<string[]> {
  const files = [
    [join(locks.pgdata, "postmaster.pid")],
    ...locks.socketDirectories.map((directory) => {
      const socket = join(directory, `.s.PGSQL.${locks.port}`);
      return [`${socket}.lock`, socket];
    }),
  ];
  const removed: string[] = [];
  for (const [lock = "", ...belongings] of files) {
    // A lock file that we may not read is not ours to judge.
    const text = await readFile(lock, "utf8").catch(() => undefined);
    if (text === undefined) continue;
    const [first = "", dataDirectory] = text.split("\n");
    // Nor is that of a server with another data directory, whatever runs there.
    if (dataDirectory !== locks.pgdata) continue;
    const pid = Math.abs(Number.parseInt(first, 10));
    const holder = Number.isInteger(pid) && pid > 0 ? await readProcess(pid) : undefined;
    if (holder !== undefined && !holder.zombie && holder.name.startsWith("postgres")) continue;
    for (const file of [lock, ...belongings]) await rm(file, { force: true });
    removed.push(lock);
  }
  return removed;
}
