import { randomBytes } from "node:crypto";
import { copyFile, link, mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { syncDirectory } from "../disk/atomic_file.ts";
import { errorCode } from "../errors/coded_error.ts";
import { ByteCache } from "./byte_cache.ts";
import { type ChunkId, checkChunk, chunkId, encodeChunk, inflateChunk } from "./chunk.ts";
import { damagedFile } from "./store_error.ts";

export interface ChunkStoreOptions {
  /** Directory with one sub-directory for each first byte of the names. */
  readonly dir: string;
  /** On the same file system; emptied by whoever owns the store. */
  readonly temporaryDir: string;
  /** False keeps nothing in memory. */
  readonly cache?: boolean;
}

/** Start after start reads the same hundreds of small files. */
const MEMBER_CACHE = 32 * 1024 * 1024;
/** A fresh cluster's databases are alike: its distinct chunks fit in here. */
const CONTENT_CACHE = 16 * 1024 * 1024;

/** Content-addressed pieces in a directory. What is written is durable after {@link ChunkStore.sync}. */
export class ChunkStore {
  readonly #options: ChunkStoreOptions;
  /** Names seen on disk; nothing but this process removes chunks. */
  readonly #known = new Set<ChunkId>();
  readonly #unsynced = new Set<string>();
  readonly #members: ByteCache;
  readonly #contents: ByteCache;

  constructor(options: ChunkStoreOptions) {
    this.#options = options;
    const cache = options.cache ?? true;
    this.#members = new ByteCache(cache ? MEMBER_CACHE : 0);
    this.#contents = new ByteCache(cache ? CONTENT_CACHE : 0);
  }

  path(id: ChunkId): string {
    return join(this.#options.dir, id.slice(0, 2), id);
  }

  async has(id: ChunkId): Promise<boolean> {
    if (this.#known.has(id)) return true;
    const there = await stat(this.path(id)).then(
      () => true,
      (error: unknown) => {
        if (errorCode(error) === "ENOENT") return false;
        throw error;
      },
    );
    if (there) this.#known.add(id);
    return there;
  }

  /** Stores at most a chunk's worth of content. */
  async put(content: Uint8Array): Promise<ChunkId> {
    const id = chunkId(content);
    if (await this.has(id)) return id;
    const { member } = await encodeChunk(content, id);
    await this.#install(id, async (temporary) => {
      const file = await open(temporary, "wx", 0o600);
      try {
        await file.writeFile(member);
        await file.sync();
      } finally {
        await file.close();
      }
    });
    return id;
  }

  /** Takes over a chunk of another store: by a hard link where the file system can do that, else as a copy. */
  async adopt(id: ChunkId, from: ChunkStore): Promise<void> {
    if (await this.has(id)) return;
    await this.#install(id, async (temporary) => {
      try {
        await link(from.path(id), temporary);
      } catch (error) {
        const code = errorCode(error);
        if (code === "ENOENT") throw missing(from.path(id));
        if (code !== "EXDEV" && code !== "EPERM" && code !== "ENOTSUP" && code !== "EMLINK") throw error;
        await copyFile(from.path(id), temporary);
        const file = await open(temporary, "r");
        try {
          await file.sync();
        } finally {
          await file.close();
        }
      }
    });
  }

  /** Makes the names of all chunks written so far durable; before that no file may refer to them. */
  async sync(): Promise<void> {
    const dirs = [...this.#unsynced];
    this.#unsynced.clear();
    try {
      await Promise.all(dirs.map(syncDirectory));
    } catch (error) {
      for (const dir of dirs) this.#unsynced.add(dir);
      throw error;
    }
  }

  /** The chunk as it is stored, one gzip member, checked. Throws `damaged_file`, which names the file. */
  async read(id: ChunkId): Promise<Buffer> {
    const cached = this.#members.get(id);
    if (cached) return cached;
    const path = this.path(id);
    let member: Buffer;
    try {
      member = await readFile(path);
    } catch (error) {
      if (errorCode(error) === "ENOENT") throw missing(path);
      throw error;
    }
    checkChunk(member, id, path);
    this.#members.set(id, member);
    return member;
  }

  /** The chunk's content, which must not be changed. */
  async content(id: ChunkId): Promise<Buffer> {
    const cached = this.#contents.get(id);
    if (cached) return cached;
    const content = await inflateChunk(await this.read(id));
    this.#contents.set(id, content);
    return content;
  }

  async #install(id: ChunkId, make: (temporary: string) => Promise<void>): Promise<void> {
    const path = this.path(id);
    const temporary = join(this.#options.temporaryDir, `${id}.${randomBytes(4).toString("hex")}`);
    try {
      await make(temporary);
      const dir = dirname(path);
      if (await mkdir(dir, { recursive: true })) this.#unsynced.add(dirname(dir));
      await rename(temporary, path);
      this.#unsynced.add(dir);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
    this.#known.add(id);
  }
}

function missing(path: string): Error {
  return damagedFile(path, "it is missing", "put it back from a copy of the store");
}
