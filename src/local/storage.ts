import { STORE_RUNGS } from "./exit_ladder.ts";
import type { LogFile } from "./log_file.ts";
import type { StoreEndpoints } from "./store_endpoints.ts";
import { awaitStoreEndpoints, forgetStoreEndpoints } from "./store_endpoints.ts";
import { SupervisedChild, type SupervisorOptions } from "./supervised_child.ts";

export interface StorageOptions {
  /** Name of the storage. */
  readonly name: string;
  readonly dir: string;
  /** The `neon-store` program. */
  readonly program: string;
  /** Directory of the Postgres programs it bootstraps with. */
  readonly pgBin: string;
  /** As root: the user that runs them. */
  readonly user: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  readonly log: LogFile;
  readonly supervisor: SupervisorOptions;
}

const ANY_PORT: StoreEndpoints = {
  pageserver: "127.0.0.1:0",
  grpc: "127.0.0.1:0",
  safekeeper: "127.0.0.1:0",
  http: "127.0.0.1:0",
};

/** A native storage: a `neon-store` over a directory, on ports of its own choice that it keeps over restarts. */
export class NativeStorage {
  readonly child: SupervisedChild;
  #endpoints = ANY_PORT;

  constructor(options: StorageOptions) {
    this.child = new SupervisedChild(
      {
        name: `storage-${options.name}`,
        program: process.execPath,
        argv: () => [options.program, ...storeFlags(options, this.#endpoints)],
        env: options.env,
        cwd: options.dir,
        log: options.log,
        rungs: STORE_RUNGS,
        prepare: () => forgetStoreEndpoints(options.dir),
        ready: async (signal) => {
          this.#endpoints = await awaitStoreEndpoints(options.dir, signal);
        },
      },
      options.supervisor,
    );
  }

  /** Where it listens; ports are 0 before the first start. */
  get endpoints(): StoreEndpoints {
    return this.#endpoints;
  }
}

/** The command line of `neon-store`. */
export function storeFlags(
  options: Pick<StorageOptions, "dir" | "pgBin" | "user">,
  addresses: StoreEndpoints,
): string[] {
  return [
    ...["--dir", options.dir],
    ...["--pageserver-addr", addresses.pageserver],
    ...["--grpc-addr", addresses.grpc],
    ...["--safekeeper-addr", addresses.safekeeper],
    ...["--http-addr", addresses.http],
    ...["--pg-bin", options.pgBin],
    ...(options.user === undefined ? [] : ["--user", options.user]),
  ];
}
