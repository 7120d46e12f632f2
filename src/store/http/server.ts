import { once } from "node:events";
import type { Server } from "node:http";
import { createAdaptorServer } from "@hono/node-server";
import type { Hono } from "hono";
import { type ListenAddress, listenOn } from "../listen_address.ts";

export interface HttpServer {
  readonly address: ListenAddress;
  /** Refuses newcomers and gives running requests until the deadline. Never rejects. */
  stop(deadline: AbortSignal): Promise<void>;
}

/** @throws StoreError `address_in_use` */
export async function serveHttp(app: Hono, wanted: ListenAddress): Promise<HttpServer> {
  const server = createAdaptorServer({ fetch: app.fetch }) as Server;
  const address = await listenOn(server, wanted, "http");
  return {
    address,
    async stop(deadline) {
      const closed = once(server, "close");
      server.close();
      server.closeIdleConnections();
      const cut = (): void => server.closeAllConnections();
      if (deadline.aborted) cut();
      else deadline.addEventListener("abort", cut, { once: true });
      await closed;
      deadline.removeEventListener("abort", cut);
    },
  };
}
