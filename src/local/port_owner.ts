import { readdir, readFile, readlink } from "node:fs/promises";

/**
 * Who listens on a TCP port, as far as the system tells us: other users' processes only root may look into, and other
 * systems than Linux are not asked.
 */
export async function portOwner(port: number): Promise<number | undefined> {
  if (process.platform !== "linux") return undefined;
  const tables = await Promise.all(
    ["tcp", "tcp6"].map((name) => readFile(`/proc/net/${name}`, "utf8").catch(() => "")),
  );
  const links = new Set(tables.flatMap((table) => listeningInodes(table, port)).map((inode) => `socket:[${inode}]`));
  if (links.size === 0) return undefined;
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    // Gone meanwhile, or not ours to look into.
    const fds = await readdir(`/proc/${name}/fd`).catch(() => []);
    for (const fd of fds) if (links.has(await readlink(`/proc/${name}/fd/${fd}`).catch(() => ""))) return Number(name);
  }
  return undefined;
}

/** Inodes of the listening sockets of a port in the text of `/proc/net/tcp`. */
export function listeningInodes(table: string, port: number): string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const inodes: string[] = [];
  for (const line of table.split("\n")) {
    const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
    if (state === "0A" && local?.endsWith(suffix) && inode) inodes.push(inode);
  }
  return inodes;
}
