import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A remote extension gateway on loopback that says what a test tells it to. */
export interface Gateway extends AsyncDisposable {
  readonly baseUrl: string;
  /** Method and path of each request. */
  readonly requests: readonly string[];
}

export type GatewayAnswer =
  | { readonly status: number; readonly body?: Buffer; readonly location?: string }
  /** The test writes itself, or does not. */
  | ((response: ServerResponse) => void);

export async function startGateway(
  answer: (path: string, index: number) => GatewayAnswer | Promise<GatewayAnswer>,
): Promise<Gateway> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const path = request.url ?? "";
    requests.push(`${request.method} ${path}`);
    void (async () => {
      const given = await answer(path, requests.length - 1);
      if (typeof given === "function") given(response);
      else response.writeHead(given.status, given.location ? { location: given.location } : {}).end(given.body);
    })();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/prefix/`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
