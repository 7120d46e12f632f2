import { writePostgresqlConf } from "../pgdata/conf_file.ts";
import { pgCtlReload } from "../postgres/tools.ts";
import type { ComputeCtlConfig } from "../spec/compute_ctl_config.ts";
import type { ResolvedSpec } from "../spec/resolved_spec.ts";
import type { Logger } from "../telemetry/log.ts";
import { acceptedConf } from "./accepted_conf.ts";
import type { ComputeOptions } from "./compute_options.ts";
import type { Machine } from "./machine.ts";
import { renderConf } from "./render_conf.ts";

export interface Reconfiguration {
  readonly resolved: ResolvedSpec;
  readonly options: ComputeOptions;
  readonly machine: Machine;
  readonly tls: ComputeCtlConfig["tls"];
  readonly log: Logger;
}

/**
 * Puts a spec's settings in force in the running Postgres. The new file is tried out beside the server first: a reload with
 * a faulty one is ignored as a whole and reported as success (contract: postgres-config.md 4.1, 5).
 *
 * @throws CodedError `configuration_refused` with Postgres' own words; the old configuration stays in force
 */
export async function reconfigure({ resolved, options, machine, tls, log }: Reconfiguration): Promise<void> {
  const rendered = renderConf(resolved, options, machine, tls !== null, false);
  const accepted = await acceptedConf(rendered.text, options, machine);
  for (const warning of [...resolved.warnings, ...rendered.warnings, ...accepted.warnings]) log.warn(warning);
  await writePostgresqlConf(options.pgdata, accepted.text, machine.runAs);
  await pgCtlReload({
    installation: machine.installation,
    runAs: machine.runAs,
    env: options.env,
    pgdata: options.pgdata,
  });
  log.info(`finished reconfiguration of compute node for operation ${resolved.spec.operation_uuid ?? "unknown"}`);
}
