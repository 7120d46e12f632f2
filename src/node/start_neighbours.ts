import { join } from "node:path";
import { errorChain } from "../errors/coded_error.ts";
import type { ExtensionDownloads } from "../extensions/extension_downloads.ts";
import { readProcess } from "../pgdata/read_process.ts";
import { runProgram } from "../postgres/run_program.ts";
import type { ComputeCtlConfig } from "../spec/compute_ctl_config.ts";
import type { ResolvedSpec } from "../spec/resolved_spec.ts";
import { hasFeature } from "../spec/schema.ts";
import type { ComputeMetrics } from "../telemetry/compute_metrics.ts";
import type { Logger } from "../telemetry/log.ts";
import type { StartupMetrics } from "../telemetry/startup_metrics.ts";
import type { ComputeOptions } from "./compute_options.ts";
import type { Machine } from "./machine.ts";

export interface NeighbourContext {
  readonly resolved: ResolvedSpec;
  readonly options: ComputeOptions;
  readonly machine: Machine;
  readonly tls: ComputeCtlConfig["tls"];
  readonly metrics: ComputeMetrics;
  readonly startup: StartupMetrics;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly extensionDownloads: () => Promise<ExtensionDownloads | undefined>;
}

const AUDITED = new Set(["Hipaa", "Extended", "Full"]);

/**
 * What a start does beside PGDATA, and must be done before Postgres runs: extensions, the machine's swap and quota, syslog
 * (contract: lifecycle.md 6 steps 4, 6, 7, 10). Modules load only for what the spec asks for.
 */
export async function prepareSurroundings(context: NeighbourContext): Promise<void> {
  const { resolved, options, log } = context;
  const { spec } = resolved;
  const jobs: Promise<unknown>[] = [];
  if (spec.remote_extensions !== null) jobs.push(loadExtensions(context));
  if (options.resizeSwapOnBind && spec.swap_size_bytes !== null)
    jobs.push(machineTool(context, (vm, tools) => vm.resizeSwap(spec.swap_size_bytes ?? 0, tools)));
  const mount = options.diskQuotaMount;
  if (mount !== null && spec.disk_quota_bytes !== null)
    jobs.push(machineTool(context, (vm, tools) => vm.setDiskQuota(spec.disk_quota_bytes ?? 0, mount, tools)));
  if (AUDITED.has(spec.audit_log_level) || spec.logs_export_host !== null) jobs.push(configureSyslog(context));
  // The first failure fails the start, but none is left without anybody who hears of it.
  const failed = (await Promise.allSettled(jobs)).find((job) => job.status === "rejected");
  if (failed !== undefined) throw failed.reason;
  if (jobs.length > 0) log.debug("the compute's surroundings are prepared");
}

/** What runs beside the start and the reconfiguration; failures are logged (contract: lifecycle.md 6 steps 8, 9; 14). */
export async function tuneNeighbours(
  context: Omit<NeighbourContext, "metrics" | "startup" | "extensionDownloads">,
): Promise<void> {
  const { resolved, options, log, signal } = context;
  const { pgbouncer_settings: settings, local_proxy_config: proxy } = resolved.spec;
  const tls = hasFeature(resolved.spec, "tls_experimental") ? context.tls : null;
  const jobs: Promise<void>[] = [];
  if (settings !== null)
    jobs.push(
      import("../neighbours/pgbouncer.ts").then(({ pgbouncerPlace, tunePgbouncer }) =>
        tunePgbouncer({ ...pgbouncerPlace(options.env), settings, tls, log, signal }),
      ),
    );
  if (proxy !== null)
    jobs.push(
      import("../neighbours/local_proxy.ts").then(({ configureLocalProxy }) =>
        configureLocalProxy({ config: proxy, tls, readProcess, log }),
      ),
    );
  for (const job of await Promise.allSettled(jobs))
    if (job.status === "rejected") log.error(`error while configuring a neighbour: ${errorChain(job.reason)}`);
}

/**
 * Writes local_proxy's file once more when the roles that it names exist; now a failure fails the start (contract:
 * lifecycle.md 11 step 3).
 */
export async function configureProxyAgain({
  resolved,
  tls,
  log,
}: Pick<NeighbourContext, "resolved" | "tls" | "log">): Promise<void> {
  const config = resolved.spec.local_proxy_config;
  if (config === null) return;
  const { configureLocalProxy } = await import("../neighbours/local_proxy.ts");
  await configureLocalProxy({
    config,
    tls: hasFeature(resolved.spec, "tls_experimental") ? tls : null,
    readProcess,
    log,
  });
}

async function loadExtensions({
  resolved,
  machine,
  startup,
  log,
  extensionDownloads,
}: NeighbourContext): Promise<void> {
  const { loadExtensionsAtStart } = await import("../extensions/load_at_start.ts");
  const figures = await loadExtensionsAtStart({
    spec: resolved.spec,
    downloads: await extensionDownloads(),
    sharedir: machine.installation.sharedir,
    log: log.span("download_preload_extensions"),
  });
  Object.assign(startup, figures);
}

type Vm = typeof import("../neighbours/vm.ts");

async function machineTool(
  { options, log, signal }: NeighbourContext,
  work: (vm: Vm, tools: Parameters<Vm["resizeSwap"]>[1]) => Promise<void>,
): Promise<void> {
  const vm = await import("../neighbours/vm.ts");
  await work(vm, { run: (program, argv) => runProgram(program, argv, { env: options.env, signal }), log });
}

async function configureSyslog({ resolved, options, metrics, log, signal }: NeighbourContext): Promise<void> {
  const { configureAuditLogging, configureLogsExport } = await import("../neighbours/rsyslog.ts");
  const run = (program: string, argv: readonly string[]) => runProgram(program, argv, { env: options.env, signal });
  const { spec } = resolved;
  if (AUDITED.has(spec.audit_log_level)) {
    const [endpointId, projectId] = [spec.endpoint_id ?? "", spec.project_id ?? ""];
    await configureAuditLogging({ pgdata: options.pgdata, endpointId, projectId, env: options.env, run, signal });
    const { runAuditLogCleaner } = await import("../neighbours/audit_log_cleaner.ts");
    void runAuditLogCleaner({
      directory: join(options.pgdata, "log"),
      onSize: (bytes) => metrics.auditLogBytes.set(bytes),
      log,
      signal,
    });
  }
  await configureLogsExport({ host: spec.logs_export_host, run, signal, log });
}
