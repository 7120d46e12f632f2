import { open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { CodedError } from "../errors/coded_error.ts";
import { CHUNK_SIZE, type ChunkId } from "./chunk.ts";
import type { ChunkStore } from "./chunk_store.ts";
import type { Image, ImageFile } from "./image.ts";

/** Files at once; each holds one chunk in memory. */
const CONCURRENCY = 8;

/** Written for every compute, or of one running server only: never part of an image (contract: storage-protocols.md 2.2). */
const LEFT_OUT = new Set([
  "postgresql.conf",
  "pg_hba.conf",
  "pg_ident.conf",
  "postgresql.auto.conf",
  "postmaster.pid",
  "postmaster.opts",
  "backup_label",
  "backup_label.old",
  "tablespace_map",
  "tablespace_map.old",
  "backup_manifest",
  "standby.signal",
  "recovery.signal",
  "current_logfiles",
]);

/** Directories whose content Postgres makes anew at every start, or which come from elsewhere (`pg_wal`). */
const CONTENT_LEFT_OUT = new Set([
  "pg_wal",
  "pg_dynshmem",
  "pg_notify",
  "pg_replslot",
  "pg_serial",
  "pg_snapshots",
  "pg_stat",
  "pg_stat_tmp",
  "pg_subtrans",
]);

/** Stores the files of a data directory that no server runs on. The chunks are not synced yet. */
export async function captureImage(
  pgdata: string,
  chunks: ChunkStore,
): Promise<Pick<Image, "directories" | "files" | "logical_size" | "stored_size">> {
  const tree = await listTree(pgdata);
  const files: ImageFile[] = new Array(tree.files.length);
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < tree.files.length; index = next++) {
      const path = tree.files[index] ?? "";
      files[index] = await captureFile(pgdata, path, chunks);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  const unique = new Set(files.flatMap((file) => file.chunks));
  let storedSize = 0;
  for (const id of unique) storedSize += (await stat(chunks.path(id))).size;
  return { directories: tree.directories, files, logical_size: logicalSize(files), stored_size: storedSize };
}

/** Bytes of relations' main forks, as the pageserver counts them (contract: storage-protocols.md 7.3). */
function logicalSize(files: readonly Pick<ImageFile, "path" | "size">[]): number {
  return files.filter((file) => /^base\/\d+\/\d+(\.\d+)?$/.test(file.path)).reduce((sum, file) => sum + file.size, 0);
}

async function listTree(pgdata: string): Promise<{ directories: string[]; files: string[] }> {
  const directories: string[] = [];
  const files: string[] = [];
  const visit = async (relative: string): Promise<void> => {
    for (const entry of await readdir(join(pgdata, relative), { withFileTypes: true })) {
      const path = relative === "" ? entry.name : `${relative}/${entry.name}`;
      if (entry.isDirectory()) {
        directories.push(path);
        if (!CONTENT_LEFT_OUT.has(path)) await visit(path);
      } else if (entry.isFile()) {
        if (!isLeftOut(entry.name, relative)) files.push(path);
      } else {
        throw new CodedError(
          "unsupported_file",
          `${join(pgdata, path)} is neither a file nor a directory: tablespaces and links cannot be stored`,
        );
      }
    }
  };
  await visit("");
  return { directories: directories.sort(), files: files.sort() };
}

function isLeftOut(name: string, directory: string): boolean {
  if (directory === "" && LEFT_OUT.has(name)) return true;
  return name.startsWith("pg_internal.init") || name.startsWith("pgsql_tmp");
}

async function captureFile(pgdata: string, path: string, chunks: ChunkStore): Promise<ImageFile> {
  const file = await open(join(pgdata, path), "r");
  try {
    const { size, mode } = await file.stat();
    const ids: ChunkId[] = [];
    const buffer = Buffer.allocUnsafe(Math.min(size, CHUNK_SIZE));
    for (let at = 0; at < size; at += buffer.length) {
      const length = Math.min(buffer.length, size - at);
      const { bytesRead } = await file.read(buffer, 0, length, at);
      if (bytesRead !== length) throw new CodedError("file_changed", `${join(pgdata, path)} shrank while it was read`);
      ids.push(await chunks.put(buffer.subarray(0, length)));
    }
    return { path, mode: mode & 0o777, size, chunks: ids };
  } finally {
    await file.close();
  }
}
