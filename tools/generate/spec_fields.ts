/** One line for each field of the spec; kept out of the programs, which would load it at every start. */
const DESCRIPTIONS: Readonly<Record<string, string>> = {
  spec: "What the compute is. Null or absent: start empty and wait for POST /configure.",
  compute_ctl_config: "Settings of compute_ctl itself, read once at process start.",
  "spec.format_version": "Any number; 1.0 by convention.",
  "spec.operation_uuid": "Id of the operation that caused this spec; only logged.",
  "spec.features":
    "Feature names: activity_monitor_experimental, tls_experimental. Unknown ones are accepted and do nothing.",
  "spec.swap_size_bytes": "With --resize-swap-on-bind: size of the swap to make before Postgres starts.",
  "spec.disk_quota_bytes": "With --set-disk-quota-for-fs: quota to set before Postgres starts; 0 means none.",
  "spec.disable_lfc_resizing": "Keeps the vm-monitor from resizing the local file cache.",
  "spec.cluster": "Roles, databases and settings.",
  "spec.cluster.cluster_id": "Only logged.",
  "spec.cluster.name": "Not used.",
  "spec.cluster.state": "Not used.",
  "spec.cluster.roles": "Roles to create, or whose password to change.",
  "spec.cluster.roles.encrypted_password":
    "A SCRAM-SHA-256 verifier, or the hex digits of an MD5 one; null: no password.",
  "spec.cluster.databases": "Databases to create, or whose owner to change.",
  "spec.cluster.postgresql_conf": "Goes to the head of postgresql.conf as it is.",
  "spec.cluster.settings": "Go to postgresql.conf behind everything derived from the other fields.",
  "spec.cluster.settings.value": "Always a string. Null does not work in settings.",
  "spec.cluster.settings.vartype":
    "With string the value is quoted and escaped; with any other text it is written raw.",
  "spec.delta_operations": "Deletions and renames: delete_db, delete_role, rename_db, rename_role.",
  "spec.delta_operations.new_name": "Required by the two renames.",
  "spec.skip_pg_catalog_updates": "True: no SQL at all; the configuration file is still written and reloaded.",
  "spec.tenant_id": "32 hex digits; null: setting neon.tenant_id.",
  "spec.timeline_id": "32 hex digits; null: setting neon.timeline_id.",
  "spec.pageserver_connection_info": "Where the pages are.",
  "spec.pageserver_connection_info.shard_count": "0: unsharded, one shard with the key 0000.",
  "spec.pageserver_connection_info.stripe_size": "Pages of 8 KiB a stripe; null when unsharded.",
  "spec.pageserver_connection_info.shards": "Keys: two hex digits of the shard number, two of the count.",
  "spec.pageserver_connection_info.prefer_protocol": "Protocol of base backups and LSN leases.",
  "spec.pageserver_connstring": "Older form: libpq connection strings joined by commas, in shard order.",
  "spec.shard_stripe_size": "Stripe size of pageserver_connstring; not read otherwise.",
  "spec.project_id": "Setting neon.project_id.",
  "spec.branch_id": "Setting neon.branch_id.",
  "spec.endpoint_id": "Setting neon.endpoint_id; names the saved cache state.",
  "spec.safekeepers_generation": "Generation of the list of safekeepers.",
  "spec.safekeeper_connstrings": "host:port of each safekeeper; a primary needs at least one.",
  "spec.mode": 'Read-write, hot standby, or read-only at an LSN: {"Static": "0/169AD58"}.',
  "spec.storage_auth_token": "Password and bearer token for pageservers and safekeepers.",
  "spec.remote_extensions": "Extensions that the gateway of --remote-ext-base-url delivers.",
  "spec.pgbouncer_settings": "Written to pgbouncer.ini; null: pgbouncer is left alone.",
  "spec.local_proxy_config": "Configuration of local_proxy.",
  "spec.reconfigure_concurrency": "How many databases a reconfiguration works on at once; at least 1.",
  "spec.drop_subscriptions_before_start": "Drops inherited subscriptions, once a timeline.",
  "spec.audit_log_level": "Log is an older spelling of Base, Hipaa of Extended.",
  "spec.logs_export_host": "host:port of a syslog collector.",
  "spec.endpoint_storage_addr": "host:port of the service that keeps cache state.",
  "spec.endpoint_storage_token": "Bearer token for it.",
  "spec.autoprewarm": "Load the saved cache state after the start.",
  "spec.offload_lfc_interval_seconds": "How often the cache state is saved; null: never.",
  "spec.suspend_timeout_seconds":
    "-1: never suspended; 0: the platform's default. compute_ctl does not suspend by itself.",
  "spec.databricks_settings": "Only for Databricks' own cloud.",
  "compute_ctl_config.jwks":
    "Public keys that sign tokens for the external HTTP API; none means that no token is good.",
  "compute_ctl_config.tls": "Server certificate; used by Postgres with the feature tls_experimental.",
};

/** The part of a JSON Schema that is walked through. */
interface Node {
  description?: string;
  properties?: Record<string, Node>;
  items?: Node;
  anyOf?: Node[];
}

/** Adds the descriptions in place; one that fits no field is an error, because the field was renamed. */
export function describeFields(document: object): void {
  const unused = new Set(Object.keys(DESCRIPTIONS));
  const visit = (node: Node, path: string): void => {
    const description = DESCRIPTIONS[path];
    if (description !== undefined) {
      node.description = description;
      unused.delete(path);
    }
    visitBelow(node, path);
  };
  const visitBelow = (node: Node, path: string): void => {
    for (const [name, property] of Object.entries(node.properties ?? {}))
      visit(property, path === "" ? name : `${path}.${name}`);
    if (node.items) visitBelow(node.items, path);
    for (const branch of node.anyOf ?? []) visitBelow(branch, path);
  };
  visit(document as Node, "");
  if (unused.size > 0) throw new Error(`no field for the descriptions of ${[...unused].join(", ")}`);
}
