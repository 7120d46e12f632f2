import { pageserverConnstringGuc, safekeepersGuc, stripeSizeGuc } from "../spec/connection.ts";
import type { ResolvedSpec } from "../spec/resolved_spec.ts";
import { hasFeature } from "../spec/schema.ts";
import type { PostgresqlConfInput } from "./postgresql_conf.ts";

/** What `postgresql.conf` depends on besides the spec. */
export interface ConfSurroundings {
  /** Whether `compute_ctl_config.tls` is there. */
  readonly hasTlsPaths: boolean;
  readonly hasCUtf8Locale: boolean;
  readonly fileBackedSharedMemory: boolean;
  readonly privilegedRoleName: string;
  readonly internalHttpPort: number;
  /**
   * Keeps logical replication subscribers from running: `drop_subscriptions_before_start`, but only where the
   * subscriptions are going to be dropped, because only then are they let loose again (contract: spec.md 10 rows 9, 10).
   */
  readonly disableSubscribers: boolean;
  /** The port of the `-C` connection string with `--lakebase-mode true`, else null. */
  readonly lakebasePort: number | null;
}

/** Picks what `postgresql.conf` needs from a spec. */
export function confInput(resolved: ResolvedSpec, surroundings: ConfSurroundings): PostgresqlConfInput {
  const { spec } = resolved;
  const hasPageservers = spec.pageserver_connection_info !== null || spec.pageserver_connstring !== null;
  const databricks = spec.databricks_settings;
  return {
    postgresqlConf: spec.cluster.postgresql_conf,
    stripeSize: stripeSizeGuc(spec),
    pageservers: hasPageservers ? { connstring: pageserverConnstringGuc(resolved) } : null,
    safekeepers: safekeepersGuc(spec),
    // The fields, not what they resolved to: what settings carry stands in the settings block.
    tenantId: spec.tenant_id,
    timelineId: spec.timeline_id,
    projectId: spec.project_id,
    branchId: spec.branch_id,
    endpointId: spec.endpoint_id,
    tls: surroundings.hasTlsPaths && hasFeature(spec, "tls_experimental"),
    hasCUtf8Locale: surroundings.hasCUtf8Locale,
    mode: spec.mode,
    fileBackedSharedMemory: surroundings.fileBackedSharedMemory,
    privilegedRoleName: surroundings.privilegedRoleName,
    settings: spec.cluster.settings,
    auditLogLevel: spec.audit_log_level,
    extensionServerPort: surroundings.internalHttpPort,
    disableSubscribers: surroundings.disableSubscribers,
    exportsLogs: spec.logs_export_host !== null,
    lakebase:
      surroundings.lakebasePort === null
        ? null
        : {
            port: surroundings.lakebasePort,
            databricks:
              databricks === null
                ? null
                : {
                    caFile: databricks.pg_compute_tls_settings.ca_file,
                    workspaceHost: databricks.databricks_workspace_host,
                  },
          },
  };
}
