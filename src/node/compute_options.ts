/** Where the spec and our own configuration come from (contract: spec.md 1.1). */
export type ConfigSource =
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "control_plane"; readonly uri: string }
  /** `--spec` of early releases: the spec alone, as JSON. */
  | { readonly kind: "inline"; readonly json: string };

/** Whether a COMMIT of a stock server waits for storage (`sync`), or only for the local disk (design.md 4). */
export type Durability = "sync" | "async";

/** Whether a fenced compute ends at once, or stays without a Postgres where a supervisor would only start it again. */
export type WhenFenced = "exit" | "wait";

/** What the command line and the environment decide about a compute, checked and with defaults filled in. */
export interface ComputeOptions {
  readonly computeId: string;
  readonly pgbin: string;
  readonly pgdata: string;
  readonly connstr: string;
  readonly configSource: ConfigSource;
  readonly externalHttpPort: number;
  readonly internalHttpPort: number;
  /** Null: loopback only. */
  readonly internalHttpAddr: string | null;
  readonly remoteExtBaseUrl: string | null;
  readonly privilegedRoleName: string;
  readonly cgroup: string;
  readonly installedExtensionsInterval: number;
  readonly resizeSwapOnBind: boolean;
  readonly diskQuotaMount: string | null;
  readonly dev: boolean;
  readonly lakebaseMode: boolean;
  /** Of our package. */
  readonly version: string;
  readonly buildTag: string;
  /** Passed on to Postgres whole. */
  readonly env: NodeJS.ProcessEnv;
  /** Milliseconds until Postgres must be ready. */
  readonly readyTimeoutMs: number;
  /** Milliseconds that a whole start may take, in lakebase mode; null where there is no limit. */
  readonly initTimeoutMs: number | null;
  /** Milliseconds that Postgres may take to stop after a signal. */
  readonly stopTimeoutMs: number;
  /** Tries of the base backup after the first. */
  readonly baseBackupRetries: number;
  /** As root: the user that Postgres programs run as; null decides by the directory's owner. */
  readonly postgresUser: string | null;
  readonly durability: Durability;
  readonly whenFenced: WhenFenced;
}
