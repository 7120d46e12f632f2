import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, rm, stat, symlink } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { errorCode } from "../errors/coded_error.ts";
import { StoreError } from "./store_error.ts";

/** Longest path that fits into a Unix socket address everywhere (macOS: 104 bytes with the final NUL). */
const LONGEST_SOCKET_PATH = 103;
const POLL_MS = 20;
/** Who accepts a connection but does not answer (a stopped process) is taken to hold the directory. */
const ANSWER_TIMEOUT_MS = 2000;

export interface DirectoryLock {
  /** Idempotent. */
  release(): Promise<void>;
}

/**
 * Holds a directory for this process alone until it ends, however it ends: a Unix socket that is listened on is held, one
 * that refuses connections is a dead process' leftover and is removed.
 *
 * Each process listens on a socket with a name of its own *before* it looks who else is there, so two that start together
 * see each other; of those that still only want the directory the one with the smallest name goes on. A leftover is never
 * replaced in place, so nobody can remove a live process' socket by mistake and both go on.
 *
 * @throws StoreError `directory_in_use`
 */
export async function lockDirectory(dir: string, what: string): Promise<DirectoryLock> {
  const short = await shortPath(dir);
  try {
    for (;;) {
      const candidate = await Candidate.listen(dir, short.path);
      const outcome = await candidate.contend().catch(async (error: unknown) => {
        await candidate.close();
        throw error;
      });
      if (outcome === "held") {
        return {
          release: async () => {
            await candidate.close();
            await short.remove();
          },
        };
      }
      await candidate.close();
      if (outcome === "lost") throw new StoreError("directory_in_use", `${what} is in use by another process`);
    }
  } catch (error) {
    await short.remove();
    throw error;
  }
}

class Candidate {
  readonly #dir: string;
  readonly #short: string;
  readonly #name: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #state: "wanting" | "holding" = "wanting";

  private constructor(dir: string, short: string) {
    this.#dir = dir;
    this.#short = short;
    this.#name = `${randomBytes(6).toString("hex")}.sock`;
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      // A peer that leaves at once is none of our business.
      socket.on("error", () => socket.destroy());
      socket.end(this.#state);
    });
  }

  static async listen(dir: string, short: string): Promise<Candidate> {
    const candidate = new Candidate(dir, short);
    candidate.#server.listen(join(short, candidate.#name));
    await once(candidate.#server, "listening");
    return candidate;
  }

  /** `again`: somebody took our socket for a leftover in the moment before it was listened on. */
  async contend(): Promise<"held" | "lost" | "again"> {
    for (;;) {
      const others = (await readdir(this.#dir)).filter((name) => name.endsWith(".sock") && name !== this.#name);
      let waiting = false;
      for (const name of others) {
        const state = await askState(join(this.#short, name));
        if (state === "dead") await rm(join(this.#dir, name), { force: true });
        else if (state === "holding" || name < this.#name) return "lost";
        else waiting = true;
      }
      if (!waiting) break;
      await delay(POLL_MS);
    }
    try {
      await stat(join(this.#dir, this.#name));
    } catch (error) {
      if (errorCode(error) === "ENOENT") return "again";
      throw error;
    }
    this.#state = "holding";
    return "held";
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, "close");
    // Node removes the socket's file.
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

async function askState(path: string): Promise<"dead" | "wanting" | "holding"> {
  const socket = connect(path);
  let silent = false;
  socket.setTimeout(ANSWER_TIMEOUT_MS, () => {
    silent = true;
    socket.end();
    socket.destroy();
  });
  try {
    let text = "";
    for await (const chunk of socket) text += String(chunk);
    return silent || text === "holding" ? "holding" : "wanting";
  } catch (error) {
    if (silent) return "holding";
    const code = errorCode(error);
    if (code === "ECONNREFUSED" || code === "ENOENT") return "dead";
    // Somebody is there, but was just closing: ask again.
    if (code === "ECONNRESET" || code === "EPIPE") return "wanting";
    throw error;
  } finally {
    socket.destroy();
  }
}

/** Sockets in a directory with a long name are reached through a link with a short one. */
async function shortPath(dir: string): Promise<{ path: string; remove(): Promise<void> }> {
  if (Buffer.byteLength(join(dir, "000000000000.sock")) <= LONGEST_SOCKET_PATH)
    return { path: dir, remove: async () => {} };
  const parent = await mkdtemp(join(tmpdir(), "neon-store-"));
  const path = join(parent, "d");
  await symlink(dir, path);
  return { path, remove: () => rm(parent, { recursive: true, force: true }) };
}
