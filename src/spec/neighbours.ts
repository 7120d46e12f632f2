import * as z from "zod/mini";
import { tlsSchema } from "./compute_ctl_config.ts";
import { dictionary, type Immutable, optional } from "./field.ts";

/** Extensions that a gateway delivers (contract: spec.md 4.7). `archive_path` is required and not used. */
export const remoteExtensionsSchema = z.object({
  public_extensions: optional(z.array(z.string())),
  custom_extensions: optional(z.array(z.string())),
  library_index: dictionary(z.string(), z.string()),
  extension_data: dictionary(
    z.string(),
    z.object({ control_data: dictionary(z.string(), z.string()), archive_path: z.string() }),
  ),
});

/** local_proxy's configuration (contract: spec.md 4.8); its `tls` is always replaced by compute_ctl's own. */
export const localProxyConfigSchema = z.object({
  jwks: optional(
    z.array(
      z.object({
        id: z.string(),
        role_names: z.array(z.string()),
        jwks_url: z.string(),
        provider_name: z.string(),
        jwt_audience: optional(z.string()),
      }),
    ),
  ),
  tls: optional(tlsSchema),
});

export const databricksSettingsSchema = z.object({
  pg_compute_tls_settings: z.object({ cert_file: z.string(), key_file: z.string(), ca_file: z.string() }),
  databricks_pg_hba: z.string(),
  databricks_pg_ident: z.string(),
  databricks_workspace_host: z.string(),
});

export type RemoteExtensions = Immutable<z.output<typeof remoteExtensionsSchema>>;
export type LocalProxyConfig = Immutable<z.output<typeof localProxyConfigSchema>>;
