import { syncSafekeepers } from "../postgres/sync_safekeepers.ts";
import type { ResolvedSpec } from "../spec/resolved_spec.ts";
import type { Logger } from "../telemetry/log.ts";
import type { StartupMetrics } from "../telemetry/startup_metrics.ts";
import type { Lsn } from "../wire/lsn.ts";
import type { ComputeOptions } from "./compute_options.ts";
import type { Machine } from "./machine.ts";
import { checkSafekeepersSynced } from "./quick_check.ts";
import type { ServerDriver } from "./server_driver.ts";

/** The original's limit is none; a compute that cannot sync at its end must still end (contract: lifecycle.md 16.3). */
const SHUTDOWN_SYNC_MS = 60_000;

export interface NeonDriverOptions {
  readonly options: ComputeOptions;
  readonly machine: Machine;
  /** The spec in force: its token and safekeepers may change while the compute runs. */
  readonly resolved: () => ResolvedSpec;
  readonly startup: StartupMetrics;
  readonly log: Logger;
}

/** Neon's Postgres: it writes its WAL to the safekeepers itself, we only have it synced before and after. */
export function createNeonDriver(given: NeonDriverOptions): ServerDriver {
  const { options, machine, startup, log } = given;
  const stopped = new AbortController();

  const sync = async (tries: "start" | "shutdown", signal: AbortSignal): Promise<Lsn> => {
    const began = performance.now();
    const lsn = await syncSafekeepers({
      installation: machine.installation,
      pgdata: options.pgdata,
      env: options.env,
      authToken: given.resolved().spec.storage_auth_token ?? undefined,
      runAs: machine.runAs,
      prefix: options.env.AUTOSCALING === undefined ? [] : ["cgexec", "-g", `memory:${options.cgroup}`],
      tries,
      info: (message) => log.info(message),
      signal: AbortSignal.any([signal, stopped.signal]),
    });
    startup.sync_safekeepers_ms = Math.round(performance.now() - began);
    return lsn;
  };

  return {
    claimsEarly: true,
    postgresArguments: () => [],
    dataReady: () => Promise.resolve(),
    async chooseLsn(prepared, signal) {
      const synced = await checkSafekeepersSynced(given.resolved(), startup, log, signal);
      if (synced !== undefined) return synced;
      await prepared;
      return await sync("start", signal);
    },
    attach: () => Promise.resolve(),
    settle: () => Promise.resolve(),
    finish: () => sync("shutdown", AbortSignal.timeout(SHUTDOWN_SYNC_MS)),
    stop() {
      stopped.abort();
      return Promise.resolve();
    },
  };
}
