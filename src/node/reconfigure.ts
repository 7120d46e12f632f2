import { setTimeout as sleep } from "node:timers/promises";
import { writePostgresqlConf } from "../pgdata/conf_file.ts";
import { waitForTlsPair, writeTlsPair } from "../pgdata/tls_files.ts";
import type { Connect } from "../reconcile/session.ts";
import type { ComputeCtlConfig } from "../spec/compute_ctl_config.ts";
import type { ResolvedSpec } from "../spec/resolved_spec.ts";
import { hasFeature } from "../spec/schema.ts";
import type { Logger } from "../telemetry/log.ts";
import { acceptedConf } from "./accepted_conf.ts";
import type { ComputeOptions } from "./compute_options.ts";
import type { Machine } from "./machine.ts";
import { reloadConfiguration } from "./reload.ts";
import { renderConf } from "./render_conf.ts";

export interface Reconfiguration {
  readonly resolved: ResolvedSpec;
  readonly options: ComputeOptions;
  readonly machine: Machine;
  readonly tls: ComputeCtlConfig["tls"];
  readonly connect: Connect;
  /** The connection string's. */
  readonly database: string;
  readonly log: Logger;
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
    log.info(`finished reconfiguration of compute node for operation ${resolved.spec.operation_uuid ?? "unknown"}`);
  };
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
