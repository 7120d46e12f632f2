import { removeSharedMemory } from "../pgdata/dynshmem.ts";
import { reportCoreDumps } from "../postgres/core_dumps.ts";
import { removePostmasterRecord } from "../postgres/leftover.ts";
import type { Logger } from "../telemetry/log.ts";
import { formatLsn, type Lsn } from "../wire/lsn.ts";
import type { ComputeOptions } from "./compute_options.ts";
import type { Machine } from "./machine.ts";
import type { ServerDriver } from "./server_driver.ts";

export interface AfterPostgres {
  readonly options: ComputeOptions;
  readonly machine: Machine;
  readonly driver: ServerDriver;
  readonly isPrimary: boolean;
  readonly log: Logger;
}

/**
 * What follows the end of a Postgres that had become ready, whatever ended it: a primary's WAL is brought into storage,
 * core files are reported, what lies outside PGDATA is removed (contract: lifecycle.md 16.3).
 *
 * @returns the LSN up to which storage has the WAL; null for computes that write none
 */
export async function afterPostgres(after: AfterPostgres): Promise<Lsn | null> {
  const { options, machine, log } = after;
  try {
    if (!after.isPrimary) {
      log.info("not primary, not syncing safekeepers");
      return null;
    }
    log.info("syncing safekeepers on shutdown");
    const lsn = await after.driver.finish();
    log.info(`synced safekeepers lsn=${formatLsn(lsn)}`);
    return lsn;
  } finally {
    await reportCoreDumps({
      directory: process.platform === "darwin" ? "/cores" : options.pgdata,
      postgres: machine.installation.postgres,
      env: options.env,
      warn: (message) => log.warn(message),
      error: (message) => log.error(message),
    });
    await cleanUp(options);
  }
}

/** What a compute leaves outside PGDATA. */
export async function cleanUp(options: ComputeOptions): Promise<void> {
  await removeSharedMemory(options.pgdata);
  await removePostmasterRecord(options.pgdata);
}
