import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { CodedError, errorCode } from "../errors/coded_error.ts";
import { portOwner } from "./port_owner.ts";

export interface PgPorts {
  readonly postgres: number;
  readonly externalHttp: number;
  readonly internalHttp: number;
}

/** A port counts as free only if nobody listens on it at any of these (contract: neon-local.md A7). */
const HOSTS = ["127.0.0.1", "::1", "0.0.0.0"];

/**
 * The three ports of a pg. Postgres gets the wanted one or none (0: any); the HTTP ports are the two behind it where they
 * are free, else any.
 *
 * @throws CodedError `port_in_use` (exit 5) naming the port and, where it can be had, its owner
 */
export async function choosePgPorts(wanted: number): Promise<PgPorts> {
  const held: Server[] = [];
  try {
    const postgres = await hold(wanted, held);
    if (postgres === undefined) throw await portInUse(wanted);
    const next = async (offset: number): Promise<number> => {
      const neighbour = postgres + offset;
      const port = (neighbour < 65_536 ? await hold(neighbour, held) : undefined) ?? (await hold(0, held));
      if (port === undefined) throw new CodedError("port_in_use", "this machine has no free port", { exitCode: 5 });
      return port;
    };
    return { postgres, externalHttp: await next(1), internalHttp: await next(2) };
  } finally {
    // All at once at the end, so that no two of them are the same.
    await Promise.all(held.map(close));
  }
}

/** Whether nobody listens on a port anywhere; 0 takes any. It stays held in `held`. Undefined when it is not free. */
async function hold(port: number, held: Server[]): Promise<number | undefined> {
  let actual = port;
  for (const host of HOSTS) {
    const server = createServer();
    server.listen({ port: actual, host });
    try {
      await once(server, "listening");
    } catch (error) {
      const code = errorCode(error) ?? "";
      // A machine without IPv6.
      if (host === "::1" && ["EADDRNOTAVAIL", "EAFNOSUPPORT", "EINVAL"].includes(code)) continue;
      if (code === "EADDRINUSE") return undefined;
      throw new CodedError("port_in_use", `cannot listen on port ${port}; choose another with --pg-port`, {
        exitCode: 5,
        cause: error,
      });
    }
    const address = server.address();
    if (address !== null && typeof address === "object") actual = address.port;
    // The last one stays open: it clashes with every other listener of this port, and so would ours among themselves.
    if (host === HOSTS.at(-1)) held.push(server);
    else await close(server);
  }
  return actual;
}

async function close(server: Server): Promise<void> {
  const closed = once(server, "close");
  server.close();
  await closed;
}

async function portInUse(port: number): Promise<CodedError> {
  const pid = await portOwner(port);
  return new CodedError(
    "port_in_use",
    `port ${port} is in use${pid === undefined ? "" : ` by process ${pid}`}; choose another with --pg-port, or 0 for any free one`,
    { status: 409, exitCode: 5 },
  );
}
