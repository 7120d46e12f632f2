import { InvalidArgumentError } from "commander";
import { type Flag, parsePort } from "./flag.ts";

/** The values of `neon-local serve` after parsing. */
export interface ServeFlags {
  readonly dir?: string;
  readonly pgPort: number;
  readonly pgVersion?: 14 | 15 | 16 | 17 | 18;
  readonly pgBin?: string;
  readonly user?: string;
}

/** Every flag of `neon-local serve`. */
export const SERVE_FLAGS: readonly Flag[] = [
  {
    flags: "--dir <dir>",
    help: "state directory; NEON_LOCAL_DIR, NEON_REPO_DIR, the nearest .neon above, then ./.neon (as root /var/lib/neon-local) when absent",
  },
  {
    flags: "--pg-port <port>",
    help: "port of Postgres on 127.0.0.1; 0 takes a free one",
    default: 55432,
    parse: parsePort,
  },
  {
    flags: "--pg-version <major>",
    help: "PostgreSQL major version, 14 to 18; what the data directory has, else the first one found, when absent",
    parse: parseMajor,
  },
  { flags: "--pg-bin <dir>", help: "directory with the postgres programs" },
  { flags: "--user <name>", help: "as root: the user that every Postgres program runs as" },
];

function parseMajor(value: string): number {
  if (!/^1[4-8]$/.test(value)) throw new InvalidArgumentError("expected 14, 15, 16, 17 or 18.");
  return Number(value);
}
