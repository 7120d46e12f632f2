import { writePostmasterRecord } from "../postgres/leftover.ts";
import { type Postmaster, startPostmaster } from "../postgres/postmaster.ts";
import { waitUntilReady } from "../postgres/readiness.ts";
import type { ComputeCtlConfig } from "../spec/compute_ctl_config.ts";
import type { ResolvedSpec } from "../spec/resolved_spec.ts";
import type { Logger } from "../telemetry/log.ts";
import type { StageRecorder } from "../telemetry/stage.ts";
import type { StartupMetrics } from "../telemetry/startup_metrics.ts";
import type { ComputeOptions } from "./compute_options.ts";
import type { Machine } from "./machine.ts";
import { preparePgdata } from "./prepare_pgdata.ts";
import type { ServerDriver } from "./server_driver.ts";

/** Everything a start needs. */
export interface StartContext {
  readonly options: ComputeOptions;
  readonly machine: Machine;
  readonly resolved: ResolvedSpec;
  readonly driver: ServerDriver;
  readonly tls: ComputeCtlConfig["tls"];
  readonly startup: StartupMetrics;
  readonly stages: StageRecorder;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** Told as soon as the process exists, so that whoever ends us ends it too. */
  readonly onSpawn: (postmaster: Postmaster) => void;
}

/** From a resolved spec to a Postgres that has taken its work up (contract: lifecycle.md 6). */
export async function startCompute(context: StartContext): Promise<Postmaster> {
  const { options, machine, resolved, driver, startup, stages, signal } = context;
  const log = context.log.span("start_compute");
  announce(resolved, log);
  await stages.run(log, "prepare_pgdata", (inner) => preparePgdata({ ...context, log: inner }));

  const spawned = performance.now();
  const postmaster = await stages.run(log, "start_postgres", async (inner) => {
    const started = await startPostmaster({
      installation: machine.installation,
      pgdata: options.pgdata,
      env: options.env,
      authToken: resolved.spec.storage_auth_token ?? undefined,
      extraArgs: driver.postgresArguments,
      runAs: machine.runAs,
      prefix: options.env.AUTOSCALING === undefined ? [] : ["cgexec", "-g", `memory:${options.cgroup}`],
      signal,
    });
    context.onSpawn(started);
    await writePostmasterRecord(options.pgdata, started.pid);
    await waitUntilReady(started, { timeoutMs: options.readyTimeoutMs, signal });
    inner.info("PostgreSQL is now running, continuing to configure it");
    return started;
  });
  const ready = performance.now();
  startup.start_postgres_ms = Math.round(ready - spawned);

  await stages.run(log, "attach_storage", () => driver.attach(postmaster, signal));
  await stages.run(log, "settle", () => driver.settle(signal));
  startup.config_ms = Math.round(performance.now() - ready);
  return postmaster;
}

function announce({ spec, tenantId, timelineId, warnings }: ResolvedSpec, log: Logger): void {
  const none = (value: string | null): string => value ?? "None";
  log.info(
    `starting compute for project ${none(spec.cluster.cluster_id)}, operation ${none(spec.operation_uuid)}, tenant ${tenantId}, ` +
      `timeline ${timelineId}, project ${none(spec.project_id)}, branch ${none(spec.branch_id)}, endpoint ${none(spec.endpoint_id)}, ` +
      `features [${spec.features.join(", ")}], spec.remote_extensions ${spec.remote_extensions === null ? "None" : "given"}`,
  );
  for (const warning of warnings) log.warn(warning);
}
