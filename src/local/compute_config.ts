import type { Jwk } from "../spec/compute_ctl_config.ts";
import type { ComputeConfig } from "../spec/schema.ts";

/** What the service decides about a compute; everything else comes from the template. */
export interface ComputeConfigValues {
  readonly endpointId: string;
  readonly tenantId: string;
  readonly timelineId: string;
  readonly postgresPort: number;
  /** What Postgres listens on. */
  readonly listenAddresses: string;
  /** What Postgres stores of the superuser's password; undefined leaves it as it is. */
  readonly passwordVerifier?: string | undefined;
  /** Where Postgres puts its Unix socket. */
  readonly socketDir: string;
  /** `host:port` each. */
  readonly pageserver: string;
  readonly pageserverGrpc: string;
  readonly safekeeper: string;
  readonly jwk: Jwk;
}

/** The config document of a compute over one unsharded storage (contract: neon-local.md C4): a template filled in. */
export function computeConfig(template: ComputeConfig, values: ComputeConfigValues): ComputeConfig {
  const { spec } = template;
  if (spec === null) throw new TypeError("the template has no spec");
  const ours = [
    { name: "listen_addresses", value: values.listenAddresses, vartype: "string" },
    { name: "port", value: String(values.postgresPort), vartype: "integer" },
    { name: "unix_socket_directories", value: socketDirectories(values.socketDir), vartype: "string" },
  ];
  const superuser =
    values.passwordVerifier === undefined
      ? []
      : [{ name: "cloud_admin", encrypted_password: values.passwordVerifier, options: null }];
  const names = new Set(ours.map((setting) => setting.name));
  const settings = (spec.cluster.settings ?? []).filter((setting) => !names.has(setting.name.toLowerCase()));
  const libpq = `postgresql://no_user@${values.pageserver}`;
  return {
    spec: {
      ...spec,
      cluster: { ...spec.cluster, roles: [...spec.cluster.roles, ...superuser], settings: [...settings, ...ours] },
      tenant_id: values.tenantId,
      timeline_id: values.timelineId,
      endpoint_id: values.endpointId,
      pageserver_connection_info: {
        shard_count: 0,
        stripe_size: null,
        shards: {
          "0000": { pageservers: [{ id: 1, libpq_url: libpq, grpc_url: `grpc://no_user@${values.pageserverGrpc}` }] },
        },
        prefer_protocol: spec.pageserver_connection_info?.prefer_protocol ?? "libpq",
      },
      pageserver_connstring: libpq,
      shard_stripe_size: null,
      safekeeper_connstrings: [values.safekeeper],
    },
    compute_ctl_config: { ...template.compute_ctl_config, jwks: { keys: [values.jwk] } },
  };
}

/** Longest path of a Unix socket, everywhere (macOS: 104 bytes with the final NUL). */
const LONGEST_SOCKET_PATH = 103;

/**
 * The value of `unix_socket_directories`, a list in which some characters need quotes. Empty, which means TCP only, when the
 * path is too long for a socket: Postgres would refuse to start.
 */
export function socketDirectories(directory: string): string {
  if (Buffer.byteLength(`${directory}/.s.PGSQL.65535`) > LONGEST_SOCKET_PATH) return "";
  return /[\s,"]/.test(directory) ? `"${directory.replaceAll('"', '""')}"` : directory;
}
