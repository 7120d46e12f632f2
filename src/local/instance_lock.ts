import { createHash } from "node:crypto";
import { once } from "node:events";
import { lstat, mkdir, readFile, rm } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { CodedError, errorCode } from "../errors/coded_error.ts";
import { lockDirectory } from "../store/directory_lock.ts";
import type { StateLayout } from "./state_layout.ts";

export interface InstanceLockOptions {
  readonly uid: number;
  /** `TMPDIR`: where the socket goes when the directory's own path is too long for one. */
  readonly temporaryDir: string;
}

export interface InstanceLock {
  /** Where the service is reached. */
  readonly socketPath: string;
  /** Idempotent. */
  release(): Promise<void>;
}

/** Unix socket addresses end at 104 bytes on macOS and 108 on Linux; the contract leaves some room. */
const LONGEST_SOCKET_PATH = 99;

/**
 * Makes sure that one service works on a state directory: `run/api.sock` listens as long as it lives. Who can connect finds
 * a service running; a socket that refuses is a dead one's and is replaced (contract: neon-local.md A3). Two services that
 * start at the same moment are told apart by the lock below, so that neither replaces the other's socket.
 *
 * @throws CodedError `already_running` (exit 6)
 */
export async function lockInstance(layout: StateLayout, options: InstanceLockOptions): Promise<InstanceLock> {
  const socketPath = await apiSocketPath(layout, options);
  if (await answers(socketPath)) throw await alreadyRunning(layout);
  let lock: Awaited<ReturnType<typeof lockDirectory>>;
  try {
    lock = await lockDirectory(layout.lockDir, layout.root);
  } catch (error) {
    throw errorCode(error) === "directory_in_use" ? await alreadyRunning(layout) : error;
  }
  await rm(socketPath, { force: true });
  const server = createServer((socket) => socket.on("error", () => socket.destroy()).end());
  server.listen(socketPath);
  await once(server, "listening");
  let released: Promise<void> | undefined;
  const release = async (): Promise<void> => {
    const closed = once(server, "close");
    server.close();
    await closed;
    await rm(socketPath, { force: true });
    await lock.release();
  };
  return {
    socketPath,
    release() {
      released ??= release();
      return released;
    },
  };
}

/** `run/api.sock`, or where the CLI looks when that is too long: a directory of ours below `TMPDIR`, named by a hash. */
async function apiSocketPath(layout: StateLayout, options: InstanceLockOptions): Promise<string> {
  const path = join(layout.runDir, "api.sock");
  if (Buffer.byteLength(path) <= LONGEST_SOCKET_PATH) return path;
  const hash = createHash("sha256").update(layout.root).digest("hex").slice(0, 16);
  const directory = join(options.temporaryDir, `neon-local-${hash}`);
  await mkdir(directory, { mode: 0o700 }).catch((error: unknown) => {
    if (errorCode(error) !== "EEXIST") throw error;
  });
  const found = await lstat(directory);
  // In a directory that everybody may write to, somebody else may have been there first.
  if (!found.isDirectory() || found.uid !== options.uid || (found.mode & 0o077) !== 0)
    throw new CodedError("state_directory_unusable", `${directory} is not a directory of ours alone; remove it`, {
      exitCode: 4,
    });
  return join(directory, "api.sock");
}

async function answers(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, "connect");
    return true;
  } catch (error) {
    if (["ECONNREFUSED", "ENOENT", "ENOTSOCK"].includes(errorCode(error) ?? "")) return false;
    throw error;
  } finally {
    socket.destroy();
  }
}

async function alreadyRunning(layout: StateLayout): Promise<CodedError> {
  const text = await readFile(layout.serviceFile, "utf8").catch(() => "");
  const pid = /"pid":\s*(\d+)/.exec(text)?.[1];
  return new CodedError(
    "already_running",
    `a neon-local already runs on ${layout.root}${pid === undefined ? "" : ` (pid ${pid})`}: stop it first, or take another directory with --dir`,
    { status: 409, exitCode: 6 },
  );
}
