import { once } from "node:events";
import type { RequestListener, Server } from "node:http";
import type { AddressInfo } from "node:net";
import { CodedError, errorChain, errorCode } from "../errors/coded_error.ts";
import type { Logger } from "../telemetry/log.ts";
import { http } from "../wire/node_http.ts";

export interface ListenOptions {
  /** `external` or `internal`: for log lines and errors. */
  readonly name: string;
  /** What answers; asked for at the first request. */
  readonly application: () => Promise<RequestListener>;
  readonly port: number;
  /** Listened on together; `::` takes IPv4 too and is replaced by `0.0.0.0` on machines without IPv6. */
  readonly hosts: readonly string[];
  readonly log: Logger;
}

export interface HttpServer {
  readonly port: number;
  /** Drops all connections. */
  close(): void;
}

/** Serves an application; a port that cannot be had is an error that names it (contract: http-api.md 1). */
export async function listen(options: ListenOptions): Promise<HttpServer> {
  const { name, log } = options;
  log.info(`Launching the ${name} server`);
  const answer = answering(options);
  const servers: Server[] = [];
  const close = (): void => {
    for (const server of servers) {
      server.close();
      server.closeAllConnections();
    }
  };
  try {
    let port = options.port;
    for (const host of options.hosts) {
      const server = await bind(answer, host, port);
      if (server === undefined) continue;
      servers.push(server);
      // With port 0 the first address chooses and the others follow.
      port = (server.address() as AddressInfo).port;
      log.info(`compute_ctl ${name} HTTP server listening at ${host.includes(":") ? `[${host}]` : host}:${port}`);
    }
    if (servers.length === 0)
      throw new CodedError("no_address", `no address of ${options.hosts.join(", ")} exists on this machine`);
    return { port, close };
  } catch (error) {
    close();
    throw new CodedError("bind_failed", `could not bind the ${name} HTTP server to port ${options.port}`, {
      cause: error,
    });
  }
}

function answering({ application, log }: ListenOptions): RequestListener {
  let loaded: RequestListener | undefined;
  return (request, response) => {
    if (loaded) return loaded(request, response);
    application().then(
      (listener) => {
        loaded = listener;
        listener(request, response);
      },
      (error: unknown) => {
        log.error(`cannot answer any request: ${errorChain(error)}`);
        response.writeHead(500).end();
      },
    );
  };
}

/** Undefined when the machine has no such address family. */
async function bind(answer: RequestListener, host: string, port: number): Promise<Server | undefined> {
  const server = http.createServer(answer);
  // `/configure` and `/terminate` take as long as the work takes.
  server.requestTimeout = 0;
  // Control planes keep connections; one that is closed between two of their requests is an error to them.
  server.keepAliveTimeout = 75_000;
  server.listen({ host, port });
  try {
    await once(server, "listening");
    return server;
  } catch (error) {
    const code = errorCode(error);
    if (code !== "EAFNOSUPPORT" && code !== "EADDRNOTAVAIL") throw error;
    return host === "::" ? await bind(answer, "0.0.0.0", port) : undefined;
  }
}
