import * as z from "zod/mini";
import { clusterSchema, deltaOperationSchema } from "./cluster.ts";
import { computeCtlConfigSchema } from "./compute_ctl_config.ts";
import {
  dictionary,
  expecting,
  type Immutable,
  identifier,
  integer,
  onlyName,
  optional,
  unsigned,
  unsigned32,
  variant,
} from "./field.ts";
import { lsnSchema, modeSchema } from "./mode.ts";
import { databricksSettingsSchema, localProxyConfigSchema, remoteExtensionsSchema } from "./neighbours.ts";
import { pageserverConnectionInfoSchema } from "./pageservers.ts";

const FEATURE_ERROR = { error: expecting("the name of a feature") };

/** Any name is accepted and kept; only known ones have an effect (contract: spec.md 4.2). */
const featureSchema = z.pipe(
  z.union(
    [
      z.string(),
      z.record(z.string(), z.null()).check(z.refine((value) => Object.keys(value).length === 1, FEATURE_ERROR)),
    ],
    FEATURE_ERROR,
  ),
  z.transform((value) => onlyName(value as string)),
);

/**
 * Everything that a control plane says about a compute (contract: spec.md 3). The order of the fields is the order in
 * which specs are written.
 */
export const computeSpecSchema = z.object({
  format_version: z.number(),
  operation_uuid: optional(z.string()),
  features: z._default(z.array(featureSchema), []),
  swap_size_bytes: optional(unsigned),
  disk_quota_bytes: optional(unsigned),
  disable_lfc_resizing: optional(z.boolean()),
  cluster: clusterSchema,
  delta_operations: optional(z.array(deltaOperationSchema)),
  skip_pg_catalog_updates: z._default(z.boolean(), false),
  tenant_id: optional(identifier),
  timeline_id: optional(identifier),
  pageserver_connection_info: optional(pageserverConnectionInfoSchema),
  pageserver_connstring: optional(z.string()),
  shard_stripe_size: optional(unsigned32),
  project_id: optional(z.string()),
  branch_id: optional(z.string()),
  endpoint_id: optional(z.string()),
  safekeepers_generation: optional(unsigned32),
  safekeeper_connstrings: z._default(z.array(z.string()), []),
  mode: modeSchema,
  storage_auth_token: optional(z.string()),
  remote_extensions: optional(remoteExtensionsSchema),
  pgbouncer_settings: optional(dictionary(z.string(), z.string())),
  local_proxy_config: optional(localProxyConfigSchema),
  reconfigure_concurrency: z._default(unsigned, 1),
  drop_subscriptions_before_start: z._default(z.boolean(), false),
  audit_log_level: z.prefault(variant(["Disabled", "Base", "Extended", "Full", "Log", "Hipaa"]), "Disabled"),
  logs_export_host: optional(z.string()),
  endpoint_storage_addr: optional(z.string()),
  endpoint_storage_token: optional(z.string()),
  autoprewarm: z._default(z.boolean(), false),
  offload_lfc_interval_seconds: optional(z.int().check(z.minimum(1))),
  suspend_timeout_seconds: integer,
  databricks_settings: optional(databricksSettingsSchema),
});

/** A `--config` file, and the shape that compute_ctl keeps. Without a spec the compute waits for `POST /configure`. */
export const computeConfigSchema = z.object({
  spec: optional(computeSpecSchema),
  compute_ctl_config: computeCtlConfigSchema,
});

/** What a control plane answers; with `attached` the spec must be there (contract: spec.md 1.4). */
export const controlPlaneConfigResponseSchema = z.object({
  status: variant(["empty", "attached"]),
  spec: optional(computeSpecSchema),
  compute_ctl_config: computeCtlConfigSchema,
});

/** The body of `POST /configure`; its `compute_ctl_config` must decode and is then thrown away (contract: spec.md 1.2). */
export const configurationRequestSchema = z.object({
  spec: computeSpecSchema,
  compute_ctl_config: computeCtlConfigSchema,
});

/** The body of `POST /promote`: the new primary's spec and where the old primary's WAL ended (contract: http-api.md 7.11). */
export const promoteRequestSchema = z.object({ spec: computeSpecSchema, wal_flush_lsn: lsnSchema });

export type ComputeSpec = Immutable<z.output<typeof computeSpecSchema>>;
export type ComputeConfig = Immutable<z.output<typeof computeConfigSchema>>;
export type ControlPlaneConfigResponse = Immutable<z.output<typeof controlPlaneConfigResponseSchema>>;
export type ConfigurationRequest = Immutable<z.output<typeof configurationRequestSchema>>;
export type PromoteRequest = Immutable<z.output<typeof promoteRequestSchema>>;
/** Features that have an effect here. */
export type KnownFeature = "activity_monitor_experimental" | "tls_experimental";

export function hasFeature(spec: Pick<ComputeSpec, "features">, feature: KnownFeature): boolean {
  return spec.features.includes(feature);
}
