import { formatLsn, type Lsn } from "../wire/lsn.ts";
import { type AuditLogLevel, renderAuditBlock } from "./audit_block.ts";
import { quoteString } from "./quoting.ts";
import { type ConfSetting, renderSetting, renderVerbatim } from "./requested_settings.ts";
import type { ServerStrategy } from "./server_strategy.ts";

/** The last line of the file includes it; see `writeOverride`. */
export const OVERRIDE_FILE = "compute_ctl_temp_override.conf";

type ConfMode =
  | { readonly kind: "primary" }
  | { readonly kind: "replica" }
  | { readonly kind: "static"; readonly lsn: Lsn };

/** What `postgresql.conf` depends on. */
export interface PostgresqlConfInput {
  /** `cluster.postgresql_conf`: the head of the file. */
  readonly postgresqlConf: string | null;
  /** 8 kB pages. */
  readonly stripeSize: number | null;
  /** Null without a source; `connstring` null when a shard has no libpq URL. */
  readonly pageservers: { readonly connstring: string | null } | null;
  /** `[g#<generation>:]host:port,…` as Postgres reads it. */
  readonly safekeepers: string | null;
  /** The fields of the spec, null where only settings carry the value. */
  readonly tenantId: string | null;
  readonly timelineId: string | null;
  readonly projectId: string | null;
  readonly branchId: string | null;
  readonly endpointId: string | null;
  /** TLS paths are configured and the feature is on. */
  readonly tls: boolean;
  /** Whether the machine knows the locale `C.UTF-8` (macOS does not, some minimal systems neither). */
  readonly hasCUtf8Locale: boolean;
  readonly mode: ConfMode;
  /** The kernel does not overcommit memory, see `needsFileBackedSharedMemory`. */
  readonly fileBackedSharedMemory: boolean;
  readonly privilegedRoleName: string;
  readonly settings: readonly ConfSetting[] | null;
  readonly auditLogLevel: AuditLogLevel;
  /** The internal HTTP port. */
  readonly extensionServerPort: number;
  readonly disableSubscribers: boolean;
  /** `logs_export_host` is given. */
  readonly exportsLogs: boolean;
  /** Null unless `--lakebase-mode true`; `port` is that of the `-C` connection string. */
  readonly lakebase: {
    readonly port: number;
    readonly databricks: { readonly caFile: string; readonly workspaceHost: string } | null;
  } | null;
}

export interface PostgresqlConf {
  readonly text: string;
  /** One sentence for each thing the spec asks for and this server does not get. */
  readonly warnings: readonly string[];
}

/**
 * The complete `postgresql.conf` of a spec (contract: postgres-config.md 2). Later lines beat earlier ones, so the order
 * is part of the contract. Throws `invalid_setting` (400) for settings that cannot be written.
 */
export function renderPostgresqlConf(input: PostgresqlConfInput, strategy: ServerStrategy): PostgresqlConf {
  const warnings = new Set<string>();
  const warn = (text: string): void => void warnings.add(text);
  const lines = [
    ...(input.postgresqlConf === null ? [] : [renderVerbatim(input.postgresqlConf, strategy, warn)]),
    ...storageLines(input),
    ...(input.tls ? ["ssl = on", "ssl_cert_file = 'server.crt'", "ssl_key_file = 'server.key'"] : []),
    ...["lc_messages", "lc_monetary", "lc_time", "lc_numeric"].map(
      (name) => `${name}='${input.hasCUtf8Locale ? "C.UTF-8" : "C"}'`,
    ),
    ...modeLines(input.mode),
    ...(input.fileBackedSharedMemory ? ["dynamic_shared_memory_type = mmap"] : []),
    `neon.privileged_role_name=${quoteString(input.privilegedRoleName)}`,
    ...managedLines(input.settings, strategy, warn),
    ...renderAuditBlock(input.auditLogLevel, input, strategy, warn),
    `neon.extension_server_port=${input.extensionServerPort}`,
    `neon.disable_logical_replication_subscribers=${input.disableSubscribers}`,
    ...(input.exportsLogs ? ["log_destination='stderr,syslog'"] : []),
    ...lakebaseLines(input.lakebase),
    `include_if_exists = '${OVERRIDE_FILE}'`,
  ];
  return { text: `${lines.join("\n")}\n`, warnings: [...warnings] };
}

function storageLines(input: PostgresqlConfInput): string[] {
  const lines = ["# Neon storage settings", ""];
  // Neon's extension reads the shard map with the stripe size that it knows by then.
  if (input.stripeSize !== null) lines.push(`neon.stripe_size=${input.stripeSize}`);
  if (input.pageservers !== null) {
    const { connstring } = input.pageservers;
    lines.push(
      connstring === null ? "# no neon.pageserver_connstring" : `neon.pageserver_connstring=${quoteString(connstring)}`,
    );
  }
  if (input.safekeepers !== null) lines.push(`neon.safekeepers=${quoteString(input.safekeepers)}`);
  const ids = [
    ["tenant_id", input.tenantId],
    ["timeline_id", input.timelineId],
    ["project_id", input.projectId],
    ["branch_id", input.branchId],
    ["endpoint_id", input.endpointId],
  ] as const;
  for (const [name, value] of ids) if (value !== null) lines.push(`neon.${name}=${quoteString(value)}`);
  return lines;
}

function modeLines(mode: ConfMode): string[] {
  const lines = [`neon.compute_mode=${mode.kind}`];
  if (mode.kind !== "primary") lines.push("hot_standby=on");
  if (mode.kind === "static") lines.push(`recovery_target_lsn='${formatLsn(mode.lsn)}'`);
  return lines;
}

function managedLines(
  settings: readonly ConfSetting[] | null,
  strategy: ServerStrategy,
  warn: (text: string) => void,
): string[] {
  if (settings === null) return [];
  // The original leaves one blank line between the markers for an empty list.
  const lines = settings.length === 0 ? [""] : settings.map((setting) => renderSetting(setting, strategy, warn));
  return ["# Managed by compute_ctl: begin", ...lines, "# Managed by compute_ctl: end"];
}

function lakebaseLines(lakebase: PostgresqlConfInput["lakebase"]): string[] {
  if (lakebase === null) return [];
  const { databricks } = lakebase;
  return [
    `port = ${lakebase.port}`,
    "# Databricks settings start",
    ...(databricks === null
      ? []
      : [
          `ssl_ca_file = ${quoteString(databricks.caFile)}`,
          `databricks.workspace_url = ${quoteString(databricks.workspaceHost)}`,
          "databricks.enable_databricks_identity_login = true",
          "databricks.enable_sql_restrictions = true",
        ]),
    "# Databricks settings end",
  ];
}
