import { InvalidArgumentError } from "commander";
import { parseWantedTimeline, type WantedTimeline } from "../store/ensure_timeline.ts";
import { type ListenAddress, parseListenAddress } from "../store/listen_address.ts";
import { type Flag, parseSeconds } from "./flag.ts";

/** The values of `neon-store`'s command line after parsing. */
export interface NeonStoreFlags {
  readonly dir: string;
  readonly pageserverAddr: ListenAddress;
  readonly grpcAddr: ListenAddress;
  readonly safekeeperAddr: ListenAddress;
  readonly httpAddr: ListenAddress;
  readonly pgBin?: string;
  readonly user?: string;
  readonly templateDir?: string;
  readonly shippedTemplateDir?: string;
  readonly ensureTimeline?: readonly WantedTimeline[];
  readonly authPublicKeyPath?: string;
  readonly waitLsnTimeout: number;
  readonly lsnLeaseLength: number;
}

/** Every flag of `neon-store`. */
export const NEON_STORE_FLAGS: readonly Flag[] = [
  { flags: "--dir <dir>", help: "the store's directory; made when it does not exist", required: true },
  address("pageserver", 6400, "base backups and LSN leases, PostgreSQL protocol"),
  address("grpc", 51051, "base backups and LSN leases, gRPC"),
  address("safekeeper", 5454, "WAL, PostgreSQL protocol"),
  address("http", 9898, "management API"),
  {
    flags: "--pg-bin <dir>",
    help: "directory with initdb and postgres to use; more are looked for where it has not the wanted major",
  },
  { flags: "--user <name>", help: "who runs initdb when this runs as root" },
  {
    flags: "--template-dir <dir>",
    help: "where fresh clusters are kept; may be shared by stores",
    defaultText: "<dir>/templates",
  },
  {
    flags: "--shipped-template-dir <dir>",
    help: "fresh clusters that came with the program, looked for first and never written: needed where initdb cannot run",
    env: "NEON_STORE_SHIPPED_TEMPLATE_DIR",
  },
  {
    flags: "--ensure-timeline <tenant/timeline:major>",
    help: "make this timeline at start when it is missing; may be given several times",
    env: "NEON_STORE_ENSURE_TIMELINE",
    parse: appendTimeline,
  },
  {
    flags: "--auth-public-key-path <path>",
    help: "Ed25519 public key (PEM) or a directory of them; asks every client for a token",
  },
  {
    flags: "--wait-lsn-timeout <seconds>",
    help: "how long a request waits for WAL that has not arrived",
    default: 300,
    parse: parseSeconds,
  },
  { flags: "--lsn-lease-length <seconds>", help: "how long a lease keeps an LSN", default: 600, parse: parseSeconds },
];

function address(name: string, port: number, what: string): Flag {
  return {
    flags: `--${name}-addr <host:port>`,
    help: `${what}; port 0 takes any free one`,
    default: `127.0.0.1:${port}`,
    parse: parseAddress,
  };
}

function appendTimeline(text: string, previous?: unknown): readonly WantedTimeline[] {
  const wanted = parseWantedTimeline(text);
  if (!wanted)
    throw new InvalidArgumentError("expected <tenant>/<timeline>:<major>, ids of 32 hex digits, major 14 to 18.");
  return [...((previous as readonly WantedTimeline[] | undefined) ?? []), wanted];
}

function parseAddress(text: string): ListenAddress {
  const parsed = parseListenAddress(text);
  if (!parsed) throw new InvalidArgumentError("expected host:port or [IPv6 address]:port.");
  return parsed;
}
