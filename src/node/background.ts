import { setTimeout as sleep } from "node:timers/promises";
import { errorChain } from "../errors/coded_error.ts";
import type { ServerKind } from "../pgdata/server_kind.ts";
import type { Connect } from "../reconcile/session.ts";
import type { ComputeCtlConfig } from "../spec/compute_ctl_config.ts";
import type { ResolvedSpec } from "../spec/resolved_spec.ts";
import { hasFeature } from "../spec/schema.ts";
import type { ComputeMetrics } from "../telemetry/compute_metrics.ts";
import type { Logger } from "../telemetry/log.ts";
import type { ComputeNode } from "./compute_node.ts";
import type { ComputeOptions } from "./compute_options.ts";
import type { LocalFileCache } from "./local_file_cache.ts";
import type { OwnSessions } from "./own_sessions.ts";

export interface BackgroundOptions {
  readonly node: ComputeNode;
  /** The spec of the start. */
  readonly resolved: ResolvedSpec;
  readonly options: ComputeOptions;
  readonly kind: ServerKind;
  readonly metrics: ComputeMetrics;
  readonly connect: Connect;
  /** The connection string's. */
  readonly database: string;
  readonly ownSessions: OwnSessions;
  readonly localFileCache: LocalFileCache;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/**
 * Starts what goes on while the compute runs (contract: lifecycle.md 12, 15). Loaded only now, so that no start waits for it.
 * Settles when everything has ended; never rejects.
 */
export async function runBackground(background: BackgroundOptions): Promise<void> {
  const tasks = [monitor(background), census(background), localFileCache(background), catalog(background)];
  await Promise.all(tasks.map((task) => settled(task, background)));
}

/** Work ends with the signal's reason when it is told to; any other error is worth a line, and ends nothing else. */
async function settled(task: Promise<void>, { log, signal }: Pick<BackgroundOptions, "log" | "signal">): Promise<void> {
  try {
    await task;
  } catch (error) {
    if (!signal.aborted) log.error(`background work ended: ${errorChain(error)}`);
  }
}

async function monitor({ node, resolved, options, metrics, ownSessions, log, signal }: BackgroundOptions) {
  const [{ runMonitor }, { openMonitorSession }] = await Promise.all([
    import("./monitor/monitor.ts"),
    import("./monitor/session.ts"),
  ]);
  await runMonitor({
    open: (limitMs) => openMonitorSession(options.connstr, limitMs),
    state: node.state,
    statistics: hasFeature(resolved.spec, "activity_monitor_experimental"),
    disturbed: () => ownSessions.disturbing,
    activity: node.activity,
    metrics,
    clock: {
      wall: Date.now,
      monotonic: () => performance.now(),
      sleep: (ms, until) => sleep(ms, undefined, { signal: until }),
    },
    log,
    signal,
  });
}

/** What a primary's start leaves for later (contract: lifecycle.md 11 step 4, reconcile.md 6.10, 9). */
async function catalog({ resolved, options, kind, metrics, connect, database, log, signal }: BackgroundOptions) {
  const { spec } = resolved;
  if (spec.mode.kind !== "primary") return;
  if (!spec.skip_pg_catalog_updates) {
    const { migrationFailpoint, runMigrations } = await import("../reconcile/migrations/run_migrations.ts");
    const failAt = migrationFailpoint(options.env.FAILPOINTS);
    await runMigrations({
      connect,
      systemDatabase: database,
      privilegedRole: options.privilegedRoleName,
      log,
      onFailed: (id) => metrics.migrationsFailed.inc({ migration_id: String(id) }),
      ...(failAt === undefined ? {} : { failAt }),
      signal,
    });
  }
  if (kind === "stock") return;
  const { updateNeonExtension } = await import("../reconcile/post_apply.ts");
  await updateNeonExtension({ connect, systemDatabase: database, log });
}

async function census(background: BackgroundOptions): Promise<void> {
  const { node, resolved, options } = background;
  const { censusInterval, runExtensionCensus } = await import("./extension_census.ts");
  await runExtensionCensus({
    ...background,
    interval: () => {
      const spec = (node.spec ?? resolved).spec;
      // A start without catalog work does not look at the spec's value.
      const fromCommandLine = spec === resolved.spec && spec.skip_pg_catalog_updates;
      return fromCommandLine ? options.installedExtensionsInterval : censusInterval(spec.suspend_timeout_seconds);
    },
    atOnce: resolved.spec.mode.kind === "primary",
  });
}

async function localFileCache({ resolved, localFileCache: cache, signal }: BackgroundOptions): Promise<void> {
  const { autoprewarm, offload_lfc_interval_seconds: interval } = resolved.spec;
  if (autoprewarm) cache.startPrewarm(null);
  if (interval === null) return;
  while (!signal.aborted) {
    // Ends early only with the signal.
    await sleep(Math.min(interval * 1000, 2 ** 31 - 1), undefined, { signal }).catch(() => undefined);
    if (!signal.aborted && cache.mayOffloadByItself) cache.startOffload();
  }
}

export interface CertificateRenewal {
  readonly node: ComputeNode;
  readonly tls: NonNullable<ComputeCtlConfig["tls"]>;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** Has a renewed certificate applied as soon as the compute runs. Begin before the start reads the first one. Never rejects. */
export async function followCertificate(renewal: CertificateRenewal): Promise<void> {
  await settled(watchRenewal(renewal), renewal);
}

async function watchRenewal({ node, tls, log, signal }: CertificateRenewal): Promise<void> {
  const { watchCertificate } = await import("./certificate_watch.ts");
  await watchCertificate({
    path: tls.cert_path,
    onChange: async () => {
      await node.state.reach(["running"], signal);
      await node.reapply();
    },
    log,
    signal,
  });
}
