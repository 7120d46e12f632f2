import { readFile } from "node:fs/promises";
import type { PostgresqlConfInput } from "../../src/pgdata/postgresql_conf.ts";
import type { ConfSetting } from "../../src/pgdata/requested_settings.ts";
import { type Durability, type ServerStrategy, serverStrategy } from "../../src/pgdata/server_strategy.ts";

/** What the full example of the contract comes down to (contract: spec.md 11, postgres-config.md 2.1). */
export const FULL: PostgresqlConfInput = {
  postgresqlConf: "shared_buffers=128MB\nport=5432",
  stripeSize: 2048,
  pageservers: { connstring: "postgresql://no_user@ps-1:6400,postgresql://no_user@ps-2:6400" },
  safekeepers: "g#3:sk-1:5454,sk-2:5454,sk-3:5454",
  tenantId: "5f0c2b7e9d1a4c6e8b3f70d2a1c4e9b6",
  timelineId: "0a9b8c7d6e5f40312233445566778899",
  projectId: "amber-field-100200",
  branchId: "br-main",
  endpointId: "ep-amber-1",
  tls: true,
  hasCUtf8Locale: true,
  mode: { kind: "primary" },
  fileBackedSharedMemory: false,
  privilegedRoleName: "neon_superuser",
  settings: [
    text("shared_preload_libraries", "neon,pg_stat_statements"),
    raw("max_connections", "112"),
    text("synchronous_standby_names", "walproposer"),
    text("log_line_prefix", "%m [%p] it's "),
  ],
  auditLogLevel: "Disabled",
  extensionServerPort: 3081,
  disableSubscribers: false,
  exportsLogs: false,
  lakebase: null,
};

/** Nothing but what is always there. */
export const BARE: PostgresqlConfInput = {
  ...FULL,
  postgresqlConf: null,
  stripeSize: null,
  pageservers: null,
  safekeepers: null,
  tenantId: null,
  timelineId: null,
  projectId: null,
  branchId: null,
  endpointId: null,
  tls: false,
  settings: null,
};

export const NEON: ServerStrategy = serverStrategy({ kind: "neon" });

export function stock(durability: Durability, ...libraries: string[]): ServerStrategy {
  return serverStrategy({ kind: "stock", libraries: new Set(libraries), durability });
}

export function text(name: string, value: string | null): ConfSetting {
  return { name, value, vartype: "string" };
}

export function raw(name: string, value: string | null): ConfSetting {
  return { name, value, vartype: "integer" };
}

export function golden(name: string): Promise<string> {
  return readFile(new URL(`golden/${name}.conf`, import.meta.url), "utf8");
}
