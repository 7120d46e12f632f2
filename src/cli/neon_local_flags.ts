import { InvalidArgumentError } from "commander";
import { type Flag, parsePort } from "./flag.ts";

/** The values of `neon-local serve` after parsing. */
export interface ServeFlags {
  readonly dir?: string;
  readonly pgPort: number;
  readonly pgHost: string;
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
    help: "port of Postgres; 0 takes a free one",
    default: 55432,
    env: "NEON_LOCAL_PG_PORT",
    parse: parsePort,
  },
  {
    flags: "--pg-host <address>",
    help: "IP address that Postgres listens on besides 127.0.0.1, or * for all; who connects to it needs a password",
    default: "127.0.0.1",
    env: "NEON_LOCAL_PG_HOST",
  },
  {
    flags: "--pg-version <major>",
    help: "PostgreSQL major version, 14 to 18; what the data directory has, else the first one found, when absent",
    env: "NEON_LOCAL_PG_VERSION",
    parse: parseMajor,
  },
  { flags: "--pg-bin <dir>", help: "directory with the postgres programs" },
  { flags: "--user <name>", help: "as root: the user that every Postgres program runs as" },
];

/** The values of `neon-local healthcheck` after parsing. */
export interface HealthcheckFlags {
  readonly dir?: string;
  readonly url?: string;
}

/** Every flag of `neon-local healthcheck`. */
export const HEALTHCHECK_FLAGS: readonly Flag[] = [
  { flags: "--dir <dir>", help: "state directory of the service, found as serve finds it when absent" },
  {
    flags: "--url <url>",
    help: "what to ask instead; without it and without a service: a compute_ctl on port EXTERNAL_HTTP_PORT, or 3080",
    env: "NEON_LOCAL_HEALTH_URL",
    parse: parseHttpUrl,
  },
];

/** Environment variables that `neon-local serve` itself reads, besides those of its flags. */
export const SERVE_ENVIRONMENT: readonly { readonly name: string; readonly meaning: string }[] = [
  { name: "NEON_LOCAL_DIR, NEON_REPO_DIR", meaning: "state directory where `--dir` is absent" },
  {
    name: "NEON_LOCAL_PASSWORD",
    meaning:
      "password of `cloud_admin` for connections from elsewhere; without it `--pg-host` makes one, in `superuser_password` in the state directory",
  },
  { name: "NEON_LOCAL_PASSWORD_FILE", meaning: "file whose first line is that password" },
  { name: "PG_BIN, POSTGRES_DISTRIB_DIR", meaning: "where Postgres is looked for first" },
];

function parseHttpUrl(value: string): string {
  if (!/^https?:\/\//.test(value) || !URL.canParse(value)) throw new InvalidArgumentError("expected an http URL.");
  return value;
}

function parseMajor(value: string): number {
  if (!/^1[4-8]$/.test(value)) throw new InvalidArgumentError("expected 14, 15, 16, 17 or 18.");
  return Number(value);
}
