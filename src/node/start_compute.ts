import { resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { errorChain } from "../errors/coded_error.ts";
import { orAborted } from "../errors/or_aborted.ts";
import { lastAssignment } from "../pgdata/conf_line.ts";
import { socketDirectoriesOf } from "../pgdata/socket_directories.ts";
import { writePostmasterRecord } from "../postgres/leftover.ts";
import { type Postmaster, startPostmaster } from "../postgres/postmaster.ts";
import { unexpectedExit, waitUntilReady } from "../postgres/readiness.ts";
import { removeStaleLocks } from "../postgres/stale_locks.ts";
import type { Connect } from "../reconcile/session.ts";
import type { ComputeCtlConfig } from "../spec/compute_ctl_config.ts";
import type { ResolvedSpec } from "../spec/resolved_spec.ts";
import type { ComputeMetrics } from "../telemetry/compute_metrics.ts";
import type { Logger } from "../telemetry/log.ts";
import type { StageRecorder } from "../telemetry/stage.ts";
import type { StartupMetrics } from "../telemetry/startup_metrics.ts";
import type { Lsn } from "../wire/lsn.ts";
import { type CatalogWork, flushedLsn, reconcileCatalog } from "./catalog_work.ts";
import type { ComputeOptions } from "./compute_options.ts";
import { holdBackSubscriptions } from "./inherited_subscriptions.ts";
import type { Machine } from "./machine.ts";
import { preparePgdata } from "./prepare_pgdata.ts";
import { strategyOf } from "./render_conf.ts";
import type { ServerDriver } from "./server_driver.ts";
import { configureProxyAgain, type NeighbourContext, prepareSurroundings, tuneNeighbours } from "./start_neighbours.ts";

/** How long after its sessions a server that dies may take to be gone. */
const NOTICE_MS = 300;

/** Everything a start needs. */
export interface StartContext {
  readonly options: ComputeOptions;
  readonly machine: Machine;
  readonly resolved: ResolvedSpec;
  readonly driver: ServerDriver;
  readonly tls: ComputeCtlConfig["tls"];
  readonly metrics: ComputeMetrics;
  readonly startup: StartupMetrics;
  readonly extensionDownloads: NeighbourContext["extensionDownloads"];
  /** Opens a session of ours in a database. */
  readonly connect: Connect;
  /** The connection string's database. */
  readonly database: string;
  readonly onReconciled: CatalogWork["onReconciled"];
  readonly stages: StageRecorder;
  readonly log: Logger;
  /** Ends the start at once, but not a server that runs already: that is for who was told by `onSpawn`. */
  readonly signal: AbortSignal;
  /** Told as soon as the process exists, so that whoever ends us ends it too. */
  readonly onSpawn: (postmaster: Postmaster) => void;
}

/** From a resolved spec to a Postgres that has taken its work up (contract: lifecycle.md 6). */
export async function startCompute(context: StartContext): Promise<Postmaster> {
  const { options, machine, resolved, driver, startup, stages, signal } = context;
  const log = context.log.span("start_compute");
  announce(resolved, log);
  void tuneNeighbours({ ...context, log });
  const prepared = Promise.all([
    stages.run(log, "prepare_pgdata", (inner) => preparePgdata({ ...context, log: inner })),
    prepareSurroundings({ ...context, log }),
  ]);
  const [conf] = await orAborted(prepared, signal);

  const held = await holdBackSubscriptions(context);
  const spawned = performance.now();
  const postmaster = await stages.run(log, "start_postgres", async (inner) => {
    signal.throwIfAborted();
    await clearSockets(conf, options.pgdata, inner);
    const started = await startPostmaster({
      installation: machine.installation,
      pgdata: options.pgdata,
      env: options.env,
      authToken: resolved.spec.storage_auth_token ?? undefined,
      extraArgs: [...driver.postgresArguments(conf), ...held],
      runAs: machine.runAs,
      prefix: options.env.AUTOSCALING === undefined ? [] : ["cgexec", "-g", `memory:${options.cgroup}`],
    });
    context.onSpawn(started);
    // Only helps the next start; a parent directory that we may not write is no reason to fail this one.
    await writePostmasterRecord(options.pgdata, started.pid).catch((error: unknown) => inner.warn(errorChain(error)));
    await waitUntilReady(started, { timeoutMs: options.readyTimeoutMs, signal });
    inner.info("PostgreSQL is now running, continuing to configure it");
    return started;
  });
  const ready = performance.now();
  startup.start_postgres_ms = Math.round(ready - spawned);

  await whileRunning(postmaster, signal, async () => {
    await stages.run(log, "attach_storage", () => driver.attach(postmaster, signal));
    const written = await stages.run(log, "configure_as_primary", (inner) => workOnCatalog({ ...context, log: inner }));
    await stages.run(log, "settle", () => driver.settle(written));
  });
  startup.config_ms = Math.round(performance.now() - ready);
  return postmaster;
}

/**
 * A container that was killed comes back with its file system and few, low pids: the lock file of the Postgres of then may
 * name one of our processes of now, and Postgres would not start.
 */
async function clearSockets(conf: string, pgdata: string, log: Logger): Promise<void> {
  const port = Number(lastAssignment(conf, "port") ?? 5432);
  for (const file of await removeStaleLocks({
    pgdata: resolve(pgdata),
    port,
    socketDirectories: socketDirectoriesOf(conf),
  }))
    log.info("removed the lock file of a server that is gone", { file });
}

/**
 * Work with a server that may die meanwhile: what waits for its WAL would wait for ever, and what fails for that reason does
 * not know it.
 */
async function whileRunning(postmaster: Postmaster, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  const died = postmaster.exited.then(async () => {
    throw await unexpectedExit(postmaster);
  });
  died.catch(() => undefined);
  try {
    await Promise.race([orAborted(work(), signal), died]);
  } catch (error) {
    signal.throwIfAborted();
    // The broken session is noticed before the end of the process.
    await Promise.race([died, delay(NOTICE_MS, undefined, { ref: false })]);
    throw error;
  }
}

/**
 * A primary's roles and databases, unless the control plane promises that nothing changed (contract: lifecycle.md 11).
 *
 * @returns the end of what was written, undefined when nothing was
 */
async function workOnCatalog(context: StartContext): Promise<Lsn | undefined> {
  const { resolved, connect, database, machine } = context;
  if (resolved.spec.mode.kind !== "primary" || resolved.spec.skip_pg_catalog_updates) return undefined;
  let changed = false;
  const onReconciled: CatalogWork["onReconciled"] = (reconciled) => {
    changed = reconciled.applied.length > 0;
    context.onReconciled(reconciled);
  };
  await reconcileCatalog({ ...context, strategy: strategyOf(machine), onReconciled }, "start");
  await configureProxyAgain(context);
  return changed ? await flushedLsn(connect, database) : undefined;
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
