import type { Database } from "./cluster.ts";
import type { ComputeCtlConfig } from "./compute_ctl_config.ts";
import { encodeMode } from "./mode.ts";
import type { LocalProxyConfig } from "./neighbours.ts";
import type { ComputeConfig, ComputeSpec } from "./schema.ts";

/** A database as it is written: with two derived fields that nobody reads. */
type EncodedDatabase = Database & { readonly restrict_conn: false; readonly invalid: false };

/**
 * The JSON value of a spec: every field there, absent ones as `null`, ids lower-case, LSNs upper-case
 * (contract: spec.md 2 rules 7-9, 4.1; neon-local.md C4). Decoding it gives the spec back.
 */
export function encodeComputeSpec(spec: ComputeSpec) {
  return {
    ...spec,
    cluster: { ...spec.cluster, databases: spec.cluster.databases.map(encodeDatabase) },
    mode: encodeMode(spec.mode),
    local_proxy_config: spec.local_proxy_config && encodeLocalProxyConfig(spec.local_proxy_config),
  };
}

/** The JSON value of a `--config` file or of a `POST /configure` body. */
function encodeComputeConfig(config: ComputeConfig): {
  readonly spec: ReturnType<typeof encodeComputeSpec> | null;
  readonly compute_ctl_config: ComputeCtlConfig;
} {
  return { spec: config.spec && encodeComputeSpec(config.spec), compute_ctl_config: config.compute_ctl_config };
}

/** The text of a `--config` file, pretty-printed: people edit it. */
export function formatComputeConfig(config: ComputeConfig): string {
  return `${JSON.stringify(encodeComputeConfig(config), null, 2)}\n`;
}

function encodeDatabase(database: Database): EncodedDatabase {
  return { ...database, restrict_conn: false, invalid: false };
}

/** What local_proxy reads: its two members are left out rather than null. */
export function encodeLocalProxyConfig(config: LocalProxyConfig): Partial<LocalProxyConfig> {
  return { ...(config.jwks && { jwks: config.jwks }), ...(config.tls && { tls: config.tls }) };
}
