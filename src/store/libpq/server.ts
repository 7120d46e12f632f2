import { createServer, type Server, type Socket } from "node:net";
import type { Logger } from "../../telemetry/log.ts";
import type { ListenAddress } from "../listen_address.ts";
import { listenOn } from "../listen_address.ts";
import type { TokenVerifier } from "../token.ts";
import { LibpqConnection } from "./connection.ts";
import type { LibpqService } from "./session.ts";

export interface LibpqServerOptions {
  /** Names the listener in errors. */
  readonly name: string;
  readonly address: ListenAddress;
  readonly service: LibpqService;
  readonly verify: TokenVerifier | undefined;
  readonly log: Logger;
}

/** A listener for PostgreSQL's protocol. */
export class LibpqServer {
  readonly #options: LibpqServerOptions;
  readonly #server: Server;
  readonly #connections = new Map<LibpqConnection, Promise<void>>();
  readonly #end = new AbortController();

  private constructor(options: LibpqServerOptions) {
    this.#options = options;
    this.#server = createServer((socket) => this.#accept(socket));
  }

  /** @throws StoreError `address_in_use` */
  static async listen(options: LibpqServerOptions): Promise<{ server: LibpqServer; address: ListenAddress }> {
    const server = new LibpqServer(options);
    return { server, address: await listenOn(server.#server, options.address, options.name) };
  }

  /** Refuses newcomers, closes idle connections, gives running commands until the deadline. Never rejects. */
  async stop(deadline: AbortSignal): Promise<void> {
    this.#server.close();
    const cut = (): void => this.#end.abort(new Error("the server stops"));
    if (deadline.aborted) cut();
    else deadline.addEventListener("abort", cut, { once: true });
    for (const connection of this.#connections.keys()) connection.drain();
    await Promise.all(this.#connections.values());
    deadline.removeEventListener("abort", cut);
  }

  #accept(socket: Socket): void {
    const { service, verify, log } = this.#options;
    const connection = new LibpqConnection({ socket, service, verify, log, signal: this.#end.signal });
    this.#connections.set(
      connection,
      connection.run().finally(() => this.#connections.delete(connection)),
    );
  }
}
