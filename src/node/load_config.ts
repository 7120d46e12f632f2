import { setTimeout as sleep } from "node:timers/promises";
import { readConfigFile } from "../spec/config_file.ts";
import { decodeComputeConfig } from "../spec/decode.ts";
import type { ComputeConfig } from "../spec/schema.ts";
import type { ComputeMetrics } from "../telemetry/compute_metrics.ts";
import type { Logger } from "../telemetry/log.ts";
import type { ComputeOptions } from "./compute_options.ts";

/** Gets the config from wherever the command line says; every failure is final (contract: spec.md 1.5). */
export async function loadConfig(
  options: ComputeOptions,
  metrics: ComputeMetrics,
  log: Logger,
  signal: AbortSignal,
): Promise<ComputeConfig> {
  const source = options.configSource;
  switch (source.kind) {
    case "file":
      return await readConfigFile(source.path);
    case "inline":
      // Early releases took the spec alone; there were no keys to bring.
      return decodeComputeConfig(`{"spec":${source.json},"compute_ctl_config":{"jwks":{"keys":[]}}}`);
    case "control_plane": {
      const { fetchConfig } = await import("../spec/control_plane.ts");
      return await fetchConfig({
        uri: source.uri,
        computeId: options.computeId,
        token: options.env.NEON_CONTROL_PLANE_TOKEN,
        fetch,
        wait: (milliseconds, until) => sleep(milliseconds, undefined, { signal: until }),
        log,
        countRequest: ({ httpStatus }) =>
          metrics.controlPlaneRequests.inc({ http_status: httpStatus, rpc: "GetConfig" }),
        signal,
      });
    }
  }
}
