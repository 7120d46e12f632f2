import type { Storage } from "./store.ts";

/** Name and value; a number becomes a setting of type integer, a boolean one of type bool. */
type Settings = Readonly<Record<string, string | number | boolean>>;

export interface SpecOptions {
  readonly storage: Storage;
  /** Of Postgres, on loopback. */
  readonly port: number;
  /** Of the Unix socket; must exist and be writable by whoever runs Postgres. */
  readonly socketDirectory: string;
  readonly settings?: Settings;
  /** Roles and databases; none unless told. */
  readonly cluster?: { readonly roles: readonly object[]; readonly databases: readonly object[] };
  /** Fields of the spec, also such that stand here already. */
  readonly more?: Readonly<Record<string, unknown>>;
}

/** A spec written by hand, as a JSON value: one unsharded tenant, Postgres on loopback, without fsync. */
export function computeSpec(options: SpecOptions): Record<string, unknown> {
  const { storage, port, socketDirectory, more } = options;
  return {
    format_version: 1,
    suspend_timeout_seconds: -1,
    cluster: {
      roles: [],
      databases: [],
      ...options.cluster,
      settings: settingList({
        listen_addresses: "127.0.0.1",
        port,
        unix_socket_directories: socketDirectory,
        fsync: false,
        ...options.settings,
      }),
    },
    tenant_id: storage.tenantId,
    timeline_id: storage.timelineId,
    pageserver_connection_info: {
      shard_count: 0,
      stripe_size: null,
      prefer_protocol: storage.pageserver.libpq_url === undefined ? "grpc" : "libpq",
      shards: { "0000": { pageservers: [{ id: 1, ...storage.pageserver }] } },
    },
    safekeeper_connstrings: storage.safekeepers,
    mode: "Primary",
    ...more,
  };
}

function settingList(settings: Settings): { name: string; value: string; vartype: string }[] {
  return Object.entries(settings).map(([name, value]) => ({
    name,
    value: typeof value === "boolean" ? (value ? "on" : "off") : String(value),
    vartype: typeof value === "number" ? "integer" : typeof value === "boolean" ? "bool" : "string",
  }));
}
