import { InvalidArgumentError } from "commander";
import { type Flag, parseBoolean, parsePort, parseSeconds } from "./flag.ts";

/** The values of `compute_ctl`'s command line after parsing (contract: lifecycle.md 1). */
export interface ComputeCtlFlags {
  readonly pgbin: string;
  readonly remoteExtBaseUrl?: string;
  readonly externalHttpPort: number;
  readonly internalHttpPort: number;
  readonly internalHttpAddr?: string;
  readonly httpPort?: number;
  readonly pgdata: string;
  readonly connstr: string;
  readonly privilegedRoleName: string;
  readonly cgroup: string;
  readonly filecacheConnstr: string;
  readonly vmMonitorAddr: string;
  readonly resizeSwapOnBind: boolean;
  readonly setDiskQuotaForFs?: string;
  readonly config?: string;
  readonly computeId: string;
  readonly controlPlaneUri?: string;
  readonly installedExtensionsCollectionInterval: number;
  readonly dev: boolean;
  readonly pgInitTimeout?: number;
  readonly lakebaseMode: boolean;
  /** Inline spec of releases before 2025-04-09. */
  readonly spec?: string;
  /** Name of `--config` before 2025-04-11. */
  readonly specPath?: string;
  /** Alias of `--remote-ext-base-url` before 2025-05-30. */
  readonly remoteExtConfig?: string;
}

/** Every flag of `compute_ctl`, in the order of the contract; ours and the names of earlier releases come last. */
export const COMPUTE_CTL_FLAGS: readonly Flag[] = [
  {
    flags: "-b, --pgbin <path>",
    help: "the postgres program; its tools are looked for beside it",
    default: "postgres",
    env: "POSTGRES_PATH",
  },
  {
    flags: "-r, --remote-ext-base-url <url>",
    help: "where remote extensions are downloaded from",
    parse: parseRemoteExtBaseUrl,
  },
  {
    flags: "--external-http-port <port>",
    help: "port of the HTTP API with authorization",
    default: 3080,
    parse: parsePort,
  },
  {
    flags: "--internal-http-port <port>",
    help: "port of the HTTP API for this machine's own programs",
    default: 3081,
    parse: parsePort,
  },
  {
    flags: "--http-port <port>",
    help: "with --lakebase-mode true: the external port, and the internal one is the next",
    parse: parsePort,
    conflicts: ["externalHttpPort", "internalHttpPort"],
  },
  { flags: "-D, --pgdata <datadir>", help: "data directory; created anew at every start", required: true },
  {
    flags: "-C, --connstr <database-url>",
    help: "how to reach the Postgres that is started, as the superuser",
    required: true,
  },
  {
    flags: "--privileged-role-name <name>",
    help: "role that customers' roles become members of",
    default: "neon_superuser",
    parse: parsePrivilegedRoleName,
  },
  { flags: "--cgroup <name>", help: "control group that the VM monitor watches", default: "neon-postgres" },
  {
    flags: "--filecache-connstr <connstr>",
    help: "the VM monitor's connection to Postgres",
    default: "host=localhost port=5432 dbname=postgres user=cloud_admin sslmode=disable application_name=vm-monitor",
  },
  { flags: "--vm-monitor-addr <ip:port>", help: "where the VM monitor listens", default: "0.0.0.0:10301" },
  {
    flags: "--resize-swap-on-bind",
    help: "resize swap to the spec's swap_size_bytes before Postgres starts",
    default: false,
  },
  {
    flags: "--set-disk-quota-for-fs <mountpoint>",
    help: "set the spec's disk_quota_bytes on this file system before Postgres starts",
  },
  {
    flags: "-c, --config <path>",
    help: "file with the spec and our own configuration",
    conflicts: ["controlPlaneUri", "spec", "specPath"],
  },
  {
    flags: "-i, --compute-id <id>",
    help: "name of this compute, as tokens and the control plane know it",
    required: true,
  },
  {
    flags: "-p, --control-plane-uri <base-url>",
    help: "control plane to get the spec from",
    conflicts: ["config", "spec", "specPath"],
  },
  {
    flags: "--installed-extensions-collection-interval <seconds>",
    help: "how often installed extensions are counted, until a spec says otherwise",
    default: 3600,
    parse: parseSeconds,
  },
  { flags: "--dev", help: "leave pgbouncer and local_proxy alone when stopping", default: false },
  {
    flags: "--pg-init-timeout <seconds>",
    help: "with --lakebase-mode true: limit for reaching Running",
    parse: parseSeconds,
  },
  {
    flags: "--lakebase-mode <true|false>",
    help: "behave as Databricks' cloud expects",
    default: false,
    parse: parseBoolean,
  },
  {
    flags: "--internal-http-addr <ip>",
    help: "address of the internal HTTP API; loopback only when absent (not in the original)",
  },
  { flags: "-s, --spec <json>", help: "inline spec", hidden: true },
  { flags: "-S, --spec-path <file>", help: "earlier name of --config", hidden: true, conflicts: ["spec"] },
  {
    flags: "--remote-ext-config <url>",
    help: "earlier name of --remote-ext-base-url",
    hidden: true,
    conflicts: ["remoteExtBaseUrl"],
  },
];

/** Environment variables that `compute_ctl` itself reads (contract: lifecycle.md 2); the whole environment goes on to Postgres. */
export const COMPUTE_CTL_ENVIRONMENT: readonly { readonly name: string; readonly meaning: string }[] = [
  { name: "POSTGRES_PATH", meaning: "default of `--pgbin`" },
  { name: "NEON_CONTROL_PLANE_TOKEN", meaning: "bearer token for the control plane; absent means an empty token" },
  {
    name: "RUST_LOG",
    meaning: "log filter: `error`, `warn`, `info` (default), `debug`, `trace`, `off`, or `target=level,…`",
  },
  { name: "BUILD_TAG", meaning: "label of `compute_ctl_up`, also in `--version`; overrides the tag of the build" },
  { name: "NEON_COMPUTE_TESTING_BASEBACKUP_RETRIES", meaning: "retries of the base backup instead of 10" },
  { name: "COMPUTE_CTL_POSTGRES_USER", meaning: "as root: the user that every Postgres program runs as" },
  { name: "COMPUTE_CTL_READY_TIMEOUT", meaning: "seconds that Postgres may take to become ready instead of 60" },
  { name: "COMPUTE_CTL_STOP_TIMEOUT", meaning: "seconds that Postgres may take to stop after a signal instead of 8" },
  {
    name: "COMPUTE_CTL_DURABILITY",
    meaning:
      "with a stock PostgreSQL: `sync` (default), a COMMIT waits until storage has it; `async`, it waits for the local disk only",
  },
  {
    name: "COMPUTE_CTL_WHEN_FENCED",
    meaning:
      "when another compute took the timeline over: `exit` (default) with code 4; `wait`, stay with the status `failed` and without Postgres until a signal, for supervisors that restart on every exit code",
  },
  {
    name: "NEON_LOCAL_SUPERVISOR_FD",
    meaning: "number of an inherited pipe; its end of file means that our starter died: stop",
  },
  {
    name: "NOTIFY_SOCKET",
    meaning:
      "set by a service manager (`Type=notify`): told through `systemd-notify` that the compute runs, is stopping, or why it failed; not passed on",
  },
  {
    name: "WATCHDOG_USEC",
    meaning: "set by a service manager (`WatchdogSec=`): it gets a sign of life twice in that time; not passed on",
  },
  { name: "AUTOSCALING", meaning: "set at all: run Postgres through cgexec in the `--cgroup` control group" },
  { name: "INSTANCE_ID", meaning: "with `--lakebase-mode true`: the instance's id; switches authorization off" },
];

function parseRemoteExtBaseUrl(value: string): string {
  let url: URL;
  try {
    url = new URL(value);
  } catch {
    throw new InvalidArgumentError("expected a URL such as https://extensions.example/.");
  }
  if (url.search !== "") throw new InvalidArgumentError("parameters detected in remote extensions base URL");
  return `${value.replace(/\/+$/, "")}/`;
}

function parsePrivilegedRoleName(value: string): string {
  if (!/^[a-z_]+$/.test(value))
    throw new InvalidArgumentError("--privileged-role-name can only contain lowercase letters and underscores");
  return value;
}
