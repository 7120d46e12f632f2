import { rm } from "node:fs/promises";
import { replaceFile } from "../disk/atomic_file.ts";
import type { CodedError } from "../errors/coded_error.ts";
import type { Logger } from "../telemetry/log.ts";
import { display } from "../telemetry/log_line.ts";
import { ensureTimeline, type WantedTimeline } from "./ensure_timeline.ts";
import { createApi } from "./http/api.ts";
import { serveHttp } from "./http/server.ts";
import { LibpqServer } from "./libpq/server.ts";
import { formatListenAddress, type ListenAddress } from "./listen_address.ts";
import { PageService } from "./pageserver/page_service.ts";
import { pageserverService } from "./pageserver/service.ts";
import { Store, type StoreOptions } from "./store.ts";
import { loadTokenVerifier } from "./token.ts";

/** What is listened on; names as in `store_endpoints.json`. */
interface StoreAddresses {
  readonly http: ListenAddress;
  readonly pageserver: ListenAddress;
  readonly grpc: ListenAddress;
  readonly safekeeper: ListenAddress;
}

export interface StoreServerOptions extends StoreOptions {
  readonly addresses: StoreAddresses;
  /** PEM file or directory of them; without one everyone is trusted. */
  readonly authPublicKeyPath?: string | undefined;
  /** Made where they are missing, before anybody is served. */
  readonly timelines?: readonly WantedTimeline[] | undefined;
  /** Gives the start up, wherever it is. */
  readonly signal?: AbortSignal | undefined;
}

export interface StoreServer {
  readonly store: Store;
  /** With the ports that were really taken. */
  readonly addresses: StoreAddresses;
  /** Settles when the store cannot go on; it should be stopped then. */
  readonly failure: Promise<CodedError>;
  /** Gives what is under way this much time, then ends it; a second call can only shorten that. Never rejects. */
  stop(graceMs: number): Promise<void>;
}

interface Listener {
  stop(deadline: AbortSignal): Promise<void>;
}

/**
 * Opens a store and serves it: pageserver (libpq and gRPC), safekeeper and HTTP in one process (design.md 5).
 *
 * @throws StoreError with exit code 4 for the directory and 5 for an address; the signal's reason when it was given up
 */
export async function startStoreServer(options: StoreServerOptions): Promise<StoreServer> {
  const { log } = options;
  const wanted = options.addresses;
  const verify =
    options.authPublicKeyPath === undefined ? undefined : await loadTokenVerifier(options.authPublicKeyPath);
  const store = await Store.open(options);
  const listeners: Listener[] = [];
  let stopping: Promise<void> | undefined;
  const deadline = new AbortController();
  const stop = async (graceMs: number): Promise<void> => {
    const timer = setTimeout(() => deadline.abort(), graceMs);
    stopping ??= stopAll(store, listeners, log, deadline.signal);
    await stopping;
    clearTimeout(timer);
  };
  try {
    options.signal?.addEventListener("abort", () => store.drain(), { once: true });
    options.signal?.throwIfAborted();
    for (const wantedTimeline of options.timelines ?? []) await ensureTimeline(store, wantedTimeline);
    const { server: libpq, address: libpqAddress } = await LibpqServer.listen({
      name: "pageserver",
      address: wanted.pageserver,
      service: pageserverService(store),
      verify,
      log,
    });
    listeners.push(libpq);
    const pageserver = announced("pageserver", libpqAddress, log);
    const { server: pageService, address: grpcAddress } = await PageService.listen({
      address: wanted.grpc,
      store,
      verify,
      log,
    });
    listeners.push(pageService);
    const grpc = announced("grpc", grpcAddress, log);
    const safekeeperAddress = await store.walService.listen(wanted.safekeeper, options.authPublicKeyPath);
    const safekeeper = announced("safekeeper", safekeeperAddress, log);
    const httpServer = await serveHttp(createApi({ store, verify, log }), wanted.http);
    listeners.push(httpServer);
    const http = announced("http", httpServer.address, log);
    const addresses = { http, pageserver, grpc, safekeeper };
    options.signal?.throwIfAborted();
    await writeEndpoints(store, addresses);
    return { store, addresses, failure: store.walService.failure, stop };
  } catch (error) {
    await stop(0);
    throw error;
  }
}

function announced(name: string, address: ListenAddress, log: Logger): ListenAddress {
  log.info(`listening`, { name: display(name), address: display(formatListenAddress(address)) });
  return address;
}

/** For managers that let us choose the ports. */
async function writeEndpoints(store: Store, addresses: StoreAddresses): Promise<void> {
  const texts = Object.entries(addresses).map(([name, address]) => [name, formatListenAddress(address)]);
  const content = { pid: process.pid, ...Object.fromEntries(texts) };
  await replaceFile(store.layout.endpointsFile, `${JSON.stringify(content, undefined, 2)}\n`, { durable: false });
}

async function stopAll(
  store: Store,
  listeners: readonly Listener[],
  log: Logger,
  deadline: AbortSignal,
): Promise<void> {
  store.drain();
  // A manager must not find addresses at which nobody answers.
  const results = await Promise.allSettled([
    rm(store.layout.endpointsFile, { force: true }),
    ...listeners.map((listener) => listener.stop(deadline)),
  ]);
  const last = await Promise.allSettled([store.close()]);
  for (const result of [...results, ...last])
    if (result.status === "rejected") log.error("could not stop cleanly", { error: String(result.reason) });
}
