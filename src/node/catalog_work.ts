import { appendSubscribersEnabled } from "../pgdata/conf_file.ts";
import { clearOverride, writeOverride } from "../pgdata/override.ts";
import type { ServerStrategy } from "../pgdata/server_strategy.ts";
import { pgCtlReload } from "../postgres/tools.ts";
import { reconfigureConcurrency, startConcurrency } from "../reconcile/concurrency.ts";
import { desiredState } from "../reconcile/desired.ts";
import { formatFailure } from "../reconcile/failure.ts";
import { type Reconciled, reconcile } from "../reconcile/reconcile.ts";
import { APPLICATION_NAMES, type Connect, withSession } from "../reconcile/session.ts";
import type { ResolvedSpec } from "../spec/resolved_spec.ts";
import type { Logger } from "../telemetry/log.ts";
import { type Lsn, parseLsn } from "../wire/lsn.ts";
import type { ComputeOptions } from "./compute_options.ts";
import type { Machine } from "./machine.ts";

export interface CatalogWork {
  readonly resolved: ResolvedSpec;
  readonly options: ComputeOptions;
  readonly machine: Machine;
  readonly strategy: ServerStrategy;
  readonly connect: Connect;
  /** The connection string's. */
  readonly database: string;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** Told what a run came to, also of one that failed. */
  readonly onReconciled: (reconciled: Reconciled) => void;
}

/**
 * Brings roles and databases in line with the spec (contract: reconcile.md 1; lifecycle.md 11). At a start a single role or
 * database that cannot be brought in line is reported and does not keep the compute from starting; a client that waits for
 * its reconfiguration is told.
 */
export async function reconcileCatalog(work: CatalogWork, when: "start" | "reconfigure"): Promise<void> {
  const { resolved, options, machine, strategy, connect, database, log } = work;
  const reload = (): Promise<void> =>
    pgCtlReload({
      installation: machine.installation,
      runAs: machine.runAs,
      env: options.env,
      pgdata: options.pgdata,
    });
  // The size limit must not keep roles and databases from being made; a stock server has none.
  if (strategy.usesSizeLimitOverride) {
    await writeOverride(options.pgdata, machine.runAs);
    await reload();
  }
  try {
    const reconciled = await reconcile({
      desired: desiredState(
        { ...resolved.spec, timeline_id: resolved.timelineId },
        {
          systemDatabase: database,
          privilegedRole: options.privilegedRoleName,
          neonServer: machine.installation.kind === "neon",
          lakebase: options.lakebaseMode,
        },
      ),
      connect,
      concurrency: when === "start" ? startConcurrency(resolved.spec) : reconfigureConcurrency(resolved.spec),
      objectFailures: when === "start" ? "collect" : "abort",
      log: log.span("apply_config"),
      signal: work.signal,
    });
    work.onReconciled(reconciled);
    for (const failure of reconciled.failures) log.warn(`not brought in line: ${formatFailure(failure)}`);
  } finally {
    if (strategy.usesSizeLimitOverride) await clearOverride(options.pgdata, machine.runAs);
    const flipped = when === "start" && strategy.kind === "neon" && (await appendSubscribersEnabled(options.pgdata));
    // Also after a failure: else the server would go on without its limit.
    if (strategy.usesSizeLimitOverride || flipped) await reload();
  }
}

/** Where the WAL of everything that was committed so far ends. */
export async function flushedLsn(connect: Connect, database: string): Promise<Lsn> {
  return await withSession(connect, database, APPLICATION_NAMES.reconcile, async (session) => {
    const [row] = await session.query<{ lsn: string }>("SELECT pg_catalog.pg_current_wal_flush_lsn()::text AS lsn");
    return parseLsn(row?.lsn ?? "0/0");
  });
}
