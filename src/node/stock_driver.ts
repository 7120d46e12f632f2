import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { CodedError } from "../errors/coded_error.ts";
import type { ResolvedSpec } from "../spec/resolved_spec.ts";
import type { Logger } from "../telemetry/log.ts";
import type { StartupMetrics } from "../telemetry/startup_metrics.ts";
import { readControlFile } from "../wire/control_file.ts";
import { checkSafekeepersSynced } from "./quick_check.ts";
import type { ServerDriver } from "./server_driver.ts";

export interface StockDriverOptions {
  readonly pgdata: string;
  readonly resolved: ResolvedSpec;
  readonly startup: StartupMetrics;
  readonly log: Logger;
}

/** A stock Postgres over an embedded storage. */
export function createStockDriver({ pgdata, resolved, startup, log }: StockDriverOptions): ServerDriver {
  return {
    postgresArguments: [],
    async chooseLsn(_prepared, signal) {
      const lsn = await checkSafekeepersSynced(resolved, startup, log, signal);
      if (lsn === undefined)
        throw new CodedError(
          "safekeepers_not_synced",
          `the safekeepers ${resolved.safekeepers.join(", ")} have no common LSN for timeline ${resolved.timelineId}`,
        );
      return lsn;
    },
    attach: () => Promise.resolve(),
    settle: () => Promise.resolve(),
    finish: async () => readControlFile(await readFile(join(pgdata, "global/pg_control"))).checkpoint,
    stop: () => Promise.resolve(),
  };
}
