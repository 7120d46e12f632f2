import { confInput } from "../pgdata/conf_input.ts";
import { type PostgresqlConf, renderPostgresqlConf } from "../pgdata/postgresql_conf.ts";
import { type ServerStrategy, serverStrategy } from "../pgdata/server_strategy.ts";
import { parseConnstr } from "../postgres/connstr.ts";
import type { ResolvedSpec } from "../spec/resolved_spec.ts";
import type { ComputeOptions } from "./compute_options.ts";
import type { Machine } from "./machine.ts";

/** How this machine's server is configured differently from the other kind. */
export function strategyOf(machine: Machine): ServerStrategy {
  return serverStrategy(
    machine.installation.kind === "neon"
      ? { kind: "neon" }
      : {
          kind: "stock",
          libraries: machine.libraries,
          durability: "walproposer",
        },
  );
}

/**
 * The `postgresql.conf` of a spec on this machine.
 *
 * @param disableSubscribers true only between a flagged start and the end of its catalog work
 */
export function renderConf(
  resolved: ResolvedSpec,
  options: ComputeOptions,
  machine: Machine,
  hasTlsPaths: boolean,
  disableSubscribers: boolean,
): PostgresqlConf {
  const surroundings = {
    hasTlsPaths,
    hasCUtf8Locale: machine.hasCUtf8Locale,
    fileBackedSharedMemory: machine.fileBackedSharedMemory,
    privilegedRoleName: options.privilegedRoleName,
    internalHttpPort: options.internalHttpPort,
    disableSubscribers,
    lakebasePort: options.lakebaseMode ? parseConnstr(options.connstr).port : null,
  };
  return renderPostgresqlConf(confInput(resolved, surroundings), strategyOf(machine));
}
