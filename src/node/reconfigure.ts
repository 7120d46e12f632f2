import { setTimeout as sleep } from "node:timers/promises";
import { writePostgresqlConf } from "../pgdata/conf_file.ts";
import { waitForTlsPair, writeTlsPair } from "../pgdata/tls_files.ts";
import { ReconcileFailed } from "../reconcile/reconcile.ts";
import type { Connect } from "../reconcile/session.ts";
import type { ComputeCtlConfig } from "../spec/compute_ctl_config.ts";
import type { ResolvedSpec } from "../spec/resolved_spec.ts";
import { hasFeature } from "../spec/schema.ts";
import type { Logger } from "../telemetry/log.ts";
import { acceptedConf } from "./accepted_conf.ts";
import { type CatalogWork, reconcileCatalog } from "./catalog_work.ts";
import type { ComputeOptions } from "./compute_options.ts";
import type { Machine } from "./machine.ts";
import { reloadConfiguration } from "./reload.ts";
import { renderConf, strategyOf } from "./render_conf.ts";
import { tuneNeighbours } from "./start_neighbours.ts";

export interface Reconfiguration {
  readonly resolved: ResolvedSpec;
  readonly options: ComputeOptions;
  readonly machine: Machine;
  readonly tls: ComputeCtlConfig["tls"];
  readonly connect: Connect;
  /** The connection string's. */
  readonly database: string;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly onReconciled: CatalogWork["onReconciled"];
}

/**
 * Prepares to put a spec in force in the running Postgres. The new configuration is tried out beside the server first: a
 * reload with a faulty one is ignored as a whole and reported as success (contract: postgres-config.md 4.1, 5).
 *
 * @returns what puts it in force; until that is called nothing has changed
 * @throws CodedError `configuration_refused` (400) with Postgres' own words
 */
export async function prepareReconfiguration(given: Reconfiguration): Promise<() => Promise<void>> {
  const { resolved, options, machine, tls, log } = given;
  const rendered = renderConf(resolved, options, machine, tls !== null, false);
  const accepted = await acceptedConf(rendered.text, options, machine);
  return async () => {
    for (const warning of [...resolved.warnings, ...rendered.warnings, ...accepted.warnings]) log.warn(warning);
    await renewTlsPair(given);
    await writePostgresqlConf(options.pgdata, accepted.text, machine.runAs);
    await reloadConfiguration({
      ...given,
      installation: machine.installation,
      runAs: machine.runAs,
      env: options.env,
      pgdata: options.pgdata,
    });
    await reconcileAfter(given);
    log.info(`finished reconfiguration of compute node for operation ${resolved.spec.operation_uuid ?? "unknown"}`);
  };
}

/** Roles and databases, where they are this compute's to change (contract: lifecycle.md 14). */
async function reconcileAfter(given: Reconfiguration): Promise<void> {
  const { spec } = given.resolved;
  void tuneNeighbours(given);
  if (spec.mode.kind !== "primary" || spec.skip_pg_catalog_updates) return;
  try {
    await reconcileCatalog({ ...given, strategy: strategyOf(given.machine) }, "reconfigure");
  } catch (error) {
    if (error instanceof ReconcileFailed) given.onReconciled(error.reconciled);
    throw error;
  }
}

/** The certificate may be another one than at the start. */
async function renewTlsPair({ tls, resolved, options, machine, log }: Reconfiguration): Promise<void> {
  if (tls === null || !hasFeature(resolved.spec, "tls_experimental")) return;
  const pair = await waitForTlsPair(tls.cert_path, tls.key_path, {
    clock: { now: () => performance.now(), sleep: (ms) => sleep(ms) },
    onRetry: (error) => log.warn(`could not read cert file ${tls.cert_path}`, { reason: error.message }),
  });
  await writeTlsPair(options.pgdata, pair, machine.runAs);
}
