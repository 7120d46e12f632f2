import { once } from "node:events";
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { type IncomingMessage, request } from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Readable } from "node:stream";
import { CodedError } from "../errors/coded_error.ts";

const SOCKET = "neon-communicator.socket";
/** A socket's path has 108 bytes, on some systems 104. */
const LONGEST_PATH = 99;
const LIMIT_MS = 10_000;

export interface CommunicatorOptions {
  readonly pgdata: string;
  /** `TMPDIR`, for the way around a long path. */
  readonly temporary?: string | undefined;
  readonly signal: AbortSignal;
}

/**
 * Passes a request on to the communicator process of Neon's Postgres, over its socket in PGDATA: status, content type and
 * body of the answer (contract: http-api.md 10).
 *
 * @throws CodedError `communicator_down` (500)
 */
export async function askCommunicator(path: string, options: CommunicatorOptions): Promise<Response> {
  const socket = resolve(options.pgdata, SOCKET);
  if (Buffer.byteLength(socket) <= LONGEST_PATH) return await ask(path, socket, options.signal);
  const directory = await mkdtemp(join(options.temporary ?? tmpdir(), "compute_ctl.short-socket."));
  try {
    const short = join(directory, "s");
    await symlink(socket, short);
    return await ask(path, short, options.signal);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function ask(path: string, socketPath: string, signal: AbortSignal): Promise<Response> {
  let connected = false;
  const limit = AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)]);
  const outgoing = request({ socketPath, path, agent: false, signal: limit, headers: { host: "localhost" } });
  outgoing.on("socket", (socket) => socket.once("connect", () => (connected = true)));
  outgoing.end();
  try {
    const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
    const type = answer.headers["content-type"];
    return new Response(Readable.toWeb(answer) as ReadableStream<Uint8Array>, {
      status: answer.statusCode ?? 502,
      ...(type === undefined ? {} : { headers: { "content-type": type } }),
    });
  } catch (cause) {
    const what = connected
      ? "fetching metrics from Postgres metrics service"
      : "connecting to communicator control socket";
    throw new CodedError("communicator_down", what, { cause });
  }
}
