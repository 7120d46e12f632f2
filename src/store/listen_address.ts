import { once } from "node:events";
import type { AddressInfo, Server } from "node:net";
import { errorCode } from "../errors/coded_error.ts";
import { StoreError } from "./store_error.ts";

export interface ListenAddress {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

const ADDRESS = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/;

/** Reads `host:port` or `[IPv6]:port`; undefined for anything else. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const match = ADDRESS.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  return host !== undefined && port <= 65_535 ? { host, port } : undefined;
}

export function formatListenAddress({ host, port }: ListenAddress): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/**
 * Listens and tells the address with the port that was really taken.
 *
 * @throws StoreError `address_in_use` (exit code 5)
 */
export async function listenOn(server: Server, address: ListenAddress, name: string): Promise<ListenAddress> {
  server.listen({ host: address.host, port: address.port });
  try {
    await once(server, "listening");
  } catch (error) {
    throw listenFailure(error, address, name);
  }
  return { host: address.host, port: (server.address() as AddressInfo).port };
}

/** What is said when an address cannot be had. */
export function listenFailure(error: unknown, address: ListenAddress, name: string): StoreError {
  const where = formatListenAddress(address);
  const text =
    errorCode(error) === "EADDRINUSE" || errorCode(error) === undefined
      ? `port ${address.port} is in use: the ${name} listener cannot have ${where}; choose another with --${name}-addr`
      : `the ${name} listener cannot have ${where}; choose another address with --${name}-addr`;
  return new StoreError("address_in_use", text, error);
}
