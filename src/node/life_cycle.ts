import { setTimeout as sleep } from "node:timers/promises";
import { CodedError, errorChain } from "../errors/coded_error.ts";
import type { Applications } from "../http/applications.ts";
import { type HttpServer, listen } from "../http/listen.ts";
import { parseConnstr } from "../postgres/connstr.ts";
import type { Postmaster } from "../postgres/postmaster.ts";
import { describeExit } from "../postgres/process_exit.ts";
import { exitedAndSaid } from "../postgres/readiness.ts";
import type { StopLimits } from "../postgres/stop_ladder.ts";
import { resolveSpec } from "../spec/resolve.ts";
import type { ResolvedSpec } from "../spec/resolved_spec.ts";
import type { ComputeConfig } from "../spec/schema.ts";
import { ComputeMetrics } from "../telemetry/compute_metrics.ts";
import type { Logger } from "../telemetry/log.ts";
import { display } from "../telemetry/log_line.ts";
import { StageRecorder } from "../telemetry/stage.ts";
import { emptyStartupMetrics, formatStartupMetrics } from "../telemetry/startup_metrics.ts";
import type { ProposerStatus } from "../walproposer/driver/proposer_driver.ts";
import type { Lsn } from "../wire/lsn.ts";
import { afterPostgres, cleanUp } from "./after_postgres.ts";
import type { CertificateRenewal } from "./background.ts";
import { type ComputeActions, ComputeNode } from "./compute_node.ts";
import type { ComputeOptions } from "./compute_options.ts";
import { createParts, type SharedParts } from "./compute_parts.ts";
import type { ComputeState } from "./compute_state.ts";
import { loadConfig } from "./load_config.ts";
import { inspectMachine, type Machine } from "./machine.ts";
import { createNeonDriver } from "./neon_driver.ts";
import { prepareReconfiguration } from "./reconfigure.ts";
import type { ServerDriver } from "./server_driver.ts";
import { startCompute } from "./start_compute.ts";
import { createStockDriver, FENCED } from "./stock_driver.ts";
import { stopNeighbours } from "./stop_neighbours.ts";
import type { StopRequest } from "./stop_request.ts";

/** How long a control plane may collect the outcome after a failed start or a fast terminate. */
const COLLECT_MS = 30_000;
/** Long enough for the answer to `/terminate` to get out; `neon_local` waits 10 s at most. */
const LINGER_MS = 300;
/** A fenced compute is gone within 5 s, and what it has to say can be read until then. */
const LOST_LINGER_MS = 1000;
/** A fenced server has this long before SIGKILL. */
const LOST_LIMITS: StopLimits = { smart: 0, fast: 0, immediate: 2_000 };
/** What waited for us when a signal came has its answer out by then. */
const ANSWER_MS = 100;
/** Supervisors must not start a fenced compute again: it would fence the one that replaced it. */
const FENCED_EXIT_CODE = 4;

/** A longer one would fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** The code of the error that says that lakebase mode's limit for a start is over. */
const INIT_TIMEOUT = "init_timeout";

/** What holds from the moment there is a spec. */
interface Life {
  readonly machine: Machine;
  readonly resolved: ResolvedSpec;
  readonly driver: ServerDriver;
}

/** One compute from configuration to exit: the main line of the program (contract: lifecycle.md 4, 6, 16). */
export class LifeCycle {
  readonly #options: ComputeOptions;
  readonly #log: Logger;
  readonly #stop: StopRequest;
  readonly #metrics: ComputeMetrics;
  readonly #startup = emptyStartupMetrics();
  readonly #node: ComputeNode;
  readonly #servers: HttpServer[] = [];
  /** Ends everything that goes on beside the main line. */
  readonly #background = new AbortController();
  /** The config says that there is no spec any more. */
  #abandoned = false;
  /** Loads what answers requests; once, unless that failed. */
  #loadApplications: () => Promise<Applications> = () => Promise.reject(new Error("nothing listens yet"));
  /** Another compute owns the timeline, and this one has let go of it. */
  #fenced = false;
  /** Aborted with the reason when nothing can be committed any more. */
  readonly #lost = new AbortController();
  #proposer: ProposerStatus | undefined;
  #postmaster: Postmaster | undefined;
  #driver: ServerDriver | undefined;

  constructor(options: ComputeOptions, log: Logger, stop: StopRequest) {
    this.#options = options;
    this.#log = log;
    this.#stop = stop;
    this.#metrics = new ComputeMetrics(options.buildTag);
    this.#metrics.setVersion(options.version);
    const { lakebaseMode, computeId, env } = options;
    const attachment =
      lakebaseMode && env.INSTANCE_ID !== undefined ? { computeId, instanceId: env.INSTANCE_ID } : undefined;
    this.#node = new ComputeNode(log, this.#metrics, this.#startup, attachment);
  }

  /** Where the compute stands, for who follows it from outside. */
  get state(): ComputeState {
    return this.#node.state;
  }

  async run(): Promise<number> {
    parseConnstr(this.#options.connstr);
    const inspected = inspectMachine(this.#options, this.#log);
    // Looked at meanwhile, but what is wrong with the config is told first, and retries of a control plane are not cut short.
    inspected.catch(() => undefined);
    const config = await loadConfig(this.#options, this.#metrics, this.#log, this.#stop.signal);
    const first = config.spec === null ? null : resolveSpec(config.spec);
    const machine = await inspected;
    this.#node.restartClock();
    // With a spec at hand nobody may ever see `empty`: pollers take that for a failure.
    if (first !== null) this.#node.takeFirstSpec(first);
    const tls = config.compute_ctl_config.tls;
    const parts = createParts({
      options: this.#options,
      machine,
      metrics: this.#metrics,
      spec: () => this.#node.spec,
      log: this.#log,
      signal: AbortSignal.any([this.#stop.signal, this.#background.signal]),
    });
    this.#node.attach({ ...parts, actions: this.#actions(machine, parts, tls) });
    this.#stop.force = () => {
      this.#postmaster?.kill("SIGQUIT");
      process.exit(1);
    };
    // Made before the ports are open, because its thread loads meanwhile; it asks nobody for anything yet.
    if (first !== null) this.#driver = this.#createDriver(machine, first);
    await this.#listen(config).catch(async (error: unknown) => {
      await this.#driver?.stop();
      throw error;
    });
    try {
      const ended = await Promise.race([this.#live(config, machine, parts), this.#stop.requested]);
      return ended === "stop" ? await this.#stopNow() : ended;
    } finally {
      this.#background.abort();
      await this.#driver?.stop();
      for (const server of this.#servers) server.close();
    }
  }

  #actions(machine: Machine, parts: SharedParts, tls: ComputeConfig["compute_ctl_config"]["tls"]): ComputeActions {
    const options = this.#options;
    const log = this.#log;
    const { connect, postgres } = parts;
    const { database } = postgres.target;
    return {
      requestStop: () => void stopNeighbours(options.dev, log).then(() => this.#postmaster?.kill("SIGINT")),
      prepare: (resolved) =>
        prepareReconfiguration({
          resolved,
          options,
          machine,
          tls,
          connect,
          database,
          log,
          signal: this.#stop.signal,
          onReconciled: (outcome) => this.#node.reconciled(outcome),
        }),
      fetchConfig: () => loadConfig(options, this.#metrics, log, this.#stop.signal),
      abandon: () => {
        this.#abandoned = true;
        this.#node.endWaiting(new CodedError("abandoned", "this compute is no longer attached to any storage"));
        void this.#postmaster?.stop("immediate");
      },
      promote: () => Promise.reject(new CodedError("cannot_promote", "this replica's storage cannot be promoted on")),
      downloadExtension: async (file, resolved) => {
        const { provideExtension } = await import("../extensions/provide_extension.ts");
        await provideExtension(await parts.extensionDownloads(), resolved?.spec ?? null, file);
      },
      commitsBlocked: () =>
        this.#proposer === undefined || this.#proposer.quorum || options.durability === "async"
          ? null
          : "commits wait: storage cannot be reached",
    };
  }

  async #listen(config: ComputeConfig): Promise<void> {
    const { lakebaseMode, env, computeId, externalHttpPort, internalHttpPort, internalHttpAddr } = this.#options;
    const log = this.#log;
    const open = lakebaseMode && env.INSTANCE_ID !== undefined;
    if (open) log.warn("INSTANCE_ID is set in lakebase mode: the external HTTP API asks for no authorization");
    const authorization = open ? null : { keys: config.compute_ctl_config.jwks.keys, computeId };
    // Loads with the first request, which as a rule comes while the start waits for the network.
    let applications: Promise<Applications> | undefined;
    this.#loadApplications = async () => {
      applications ??= import("../http/applications.ts").then(({ createApplications }) =>
        createApplications({ compute: this.#node, log, authorization }),
      );
      try {
        return await applications;
      } catch (error) {
        applications = undefined;
        throw error;
      }
    };
    const external = async () => (await this.#loadApplications()).external;
    const internal = async () => (await this.#loadApplications()).internal;
    this.#servers.push(
      await listen({ name: "external", application: external, port: externalHttpPort, hosts: ["::"], log }),
    );
    const hosts = internalHttpAddr === null ? ["127.0.0.1", "::1"] : [internalHttpAddr];
    this.#servers.push(await listen({ name: "internal", application: internal, port: internalHttpPort, hosts, log }));
  }

  /** Now that there is time: an upgrade may take the file away before anybody asks. */
  #prepareToAnswer(): void {
    this.#loadApplications().catch((error: unknown) => {
      this.#log.error(`cannot answer requests: ${errorChain(error)}`);
    });
  }

  /** From here to the end of Postgres, or of its failed start. */
  async #live(config: ComputeConfig, machine: Machine, parts: SharedParts): Promise<number> {
    const resolved = this.#node.spec ?? (await this.#waitForSpec());
    // Terminated before any spec came.
    if (resolved === null) return 0;
    const driver = this.#driver ?? this.#createDriver(machine, resolved);
    this.#driver = driver;
    const { tls } = config.compute_ctl_config;
    const background = AbortSignal.any([this.#stop.signal, this.#background.signal]);
    if (tls !== null) void this.#followCertificate(tls, background);
    const { mode } = resolved.spec;
    if (mode.kind === "static") void this.#keepLease(resolved, mode.lsn, background);
    const stages = new StageRecorder(undefined, (timing) => this.#node.eventLog.add({ kind: "stage", timing }));
    const late = this.#limitStart();
    let postmaster: Postmaster;
    try {
      postmaster = await startCompute({
        options: this.#options,
        machine,
        resolved,
        driver,
        tls,
        metrics: this.#metrics,
        startup: this.#startup,
        extensionDownloads: parts.extensionDownloads,
        connect: parts.connectAtStart,
        database: parts.postgres.target.database,
        onReconciled: (reconciled) => this.#node.reconciled(reconciled),
        stages,
        log: this.#log,
        signal: AbortSignal.any([this.#stop.signal, this.#lost.signal]),
        onSpawn: (spawned) => {
          this.#postmaster = spawned;
          // It was on its way when we were told.
          if (this.#lost.signal.aborted) void spawned.stop("immediate", LOST_LIMITS);
        },
      });
    } catch (error) {
      return await this.#failStart(error);
    } finally {
      clearTimeout(late);
    }
    this.#startup.total_startup_ms = Date.now() - this.#node.startTime.getTime();
    this.#node.state.apply("start_done");
    this.#prepareToAnswer();
    const figures = { metrics: display(formatStartupMetrics(this.#startup)), postmaster_pid: postmaster.pid };
    this.#log.span("start_compute").info("compute start finished", figures);
    for (const line of stages.waterfall().split("\n")) this.#log.span("start_compute").debug(line);
    void this.#runBackground(resolved, parts, background);
    return await this.#watchPostgres(postmaster, { machine, resolved, driver });
  }

  async #runBackground(resolved: ResolvedSpec, parts: SharedParts, signal: AbortSignal): Promise<void> {
    const { runBackground } = await import("./background.ts");
    const { database } = parts.postgres.target;
    const { kind } = parts.postgres.installation;
    const common = { options: this.#options, metrics: this.#metrics, log: this.#log };
    await runBackground({ ...parts, ...common, node: this.#node, kind, resolved, database, signal });
  }

  async #followCertificate(tls: CertificateRenewal["tls"], signal: AbortSignal): Promise<void> {
    const { followCertificate } = await import("./background.ts");
    await followCertificate({ node: this.#node, tls, log: this.#log, signal });
  }

  async #keepLease(resolved: ResolvedSpec, lsn: Lsn, signal: AbortSignal): Promise<void> {
    const { keepLease } = await import("./lsn_lease.ts");
    const spec = () => this.#node.spec ?? resolved;
    const common = { metrics: this.#metrics, log: this.#log, signal };
    await keepLease({ ...common, resolved, lsn, spec, changes: this.#node.pageserverChanges });
  }

  /** In lakebase mode nothing may take longer (contract: lifecycle.md 22). */
  #limitStart(): NodeJS.Timeout | undefined {
    const { initTimeoutMs } = this.#options;
    if (initTimeoutMs === null) return undefined;
    const message = `compute did not enter Running state in ${initTimeoutMs / 1000} seconds, exiting`;
    return setTimeout(
      () => {
        this.#log.error(message);
        this.#lost.abort(new CodedError(INIT_TIMEOUT, message));
      },
      Math.min(initTimeoutMs, LONGEST_TIMER_MS),
    );
  }

  #createDriver(machine: Machine, resolved: ResolvedSpec): ServerDriver {
    const common = { startup: this.#startup, log: this.#log };
    if (machine.installation.kind === "stock")
      return createStockDriver({
        ...common,
        options: this.#options,
        machine,
        resolved,
        onStatus: (status) => {
          this.#proposer = status;
          this.#metrics.setProposer(status);
        },
        onWaiting: (reason) => this.#node.state.note(reason),
        onLost: (error) => this.#loseStorage(error),
      });
    return createNeonDriver({
      ...common,
      options: this.#options,
      machine,
      resolved: () => this.#node.spec ?? resolved,
    });
  }

  /** Null when the compute was terminated first. */
  async #waitForSpec(): Promise<ResolvedSpec | null> {
    const began = performance.now();
    this.#log.info("no compute spec provided, waiting");
    this.#prepareToAnswer();
    const reached = await this.#node.state.reach(
      ["first_configuration_pending", "termination_pending_fast", "termination_pending_immediate"],
      this.#stop.signal,
    );
    if (reached !== "first_configuration_pending") {
      this.#node.finishTermination(null);
      await sleep(LINGER_MS);
      return null;
    }
    this.#log.info("got spec, continue configuration");
    this.#startup.wait_for_spec_ms = Math.round(performance.now() - began);
    this.#node.restartClock();
    this.#node.state.apply("start_begins");
    return this.#node.spec;
  }

  async #failStart(error: unknown): Promise<number> {
    // Then another one ends Postgres, and not at once.
    this.#stop.signal.throwIfAborted();
    // When storage was lost, what failed was only the consequence.
    const cause: unknown = this.#lost.signal.aborted ? this.#lost.signal.reason : error;
    const lost = cause instanceof CodedError && (cause.code === FENCED || cause.code === INIT_TIMEOUT);
    // Published only when nothing is left: who reads `failed` may kill us at once, and would leave an orphan.
    await this.#postmaster?.stop("immediate", lost ? LOST_LIMITS : undefined);
    this.#stop.signal.throwIfAborted();
    // It must not answer for this timeline while somebody else starts on it.
    await this.#driver?.stop();
    if (lost) return await this.#endLost(cause);
    const reason = errorChain(cause);
    this.#log.error(`could not start the compute node: ${reason}`);
    if (error instanceof Error && !(error instanceof CodedError) && error.stack) this.#log.debug(error.stack);
    await cleanUp(this.#options);
    this.#node.state.apply("start_fails", reason);
    await this.#lingerForControlPlane();
    return 1;
  }

  async #watchPostgres(postmaster: Postmaster, { machine, driver }: Life): Promise<number> {
    this.#log.info("Waiting for Postgres to exit");
    const exit = await exitedAndSaid(postmaster);
    this.#background.abort();
    this.#stop.signal.throwIfAborted();
    this.#log.info(`Postgres exited with code ${describeExit(exit)}, shutting down`);
    if (this.#lost.signal.aborted) return await this.#endLost(this.#lost.signal.reason as CodedError);
    if (this.#abandoned) {
      await cleanUp(this.#options);
      return 1;
    }
    const isPrimary = this.#node.spec?.spec.mode.kind === "primary";
    let lsn: Lsn | null;
    try {
      lsn = await afterPostgres({ options: this.#options, machine, driver, isPrimary, log: this.#log });
      // Nothing of this compute is left to be fenced.
      await driver.stop();
    } catch (error) {
      this.#stop.signal.throwIfAborted();
      if (this.#lost.signal.aborted) return await this.#endLost(this.#lost.signal.reason as CodedError);
      this.#node.endWaiting(new CodedError("shutdown_failed", `running compute node: ${errorChain(error)}`));
      await sleep(LINGER_MS);
      throw new CodedError("shutdown_failed", "running compute node", { cause: error });
    }
    // Only now: it may have been asked for since Postgres went by itself.
    const fast = this.#node.state.state === "termination_pending_fast";
    if (fast || this.#node.state.state === "termination_pending_immediate") this.#node.finishTermination(lsn);
    else this.#node.endWaiting(new CodedError("postgres_exited", `Postgres exited with code ${describeExit(exit)}`));
    if (fast) await this.#lingerForControlPlane();
    else await sleep(LINGER_MS);
    return exit.code ?? 1;
  }

  /**
   * Nothing that this server does can be committed any more. A fast stop would wait for an acknowledgement that never comes
   * (design.md 4).
   */
  #loseStorage(error: CodedError): void {
    this.#log.error(`this compute cannot commit any more: ${error.message}`);
    void this.#postmaster?.stop("immediate", LOST_LIMITS);
    this.#lost.abort(error);
  }

  /** The end of a compute whose storage went to another one, or that may not wait for anybody to collect an error. */
  async #endLost(lost: CodedError): Promise<number> {
    await cleanUp(this.#options);
    this.#fenced = lost.code === FENCED;
    this.#node.state.apply("storage_lost", errorChain(lost));
    this.#node.endWaiting(new CodedError(lost.code, lost.message));
    if (this.#fenced && this.#options.whenFenced === "wait") await this.#waitFenced();
    else await sleep(LOST_LINGER_MS);
    return this.#fenced ? FENCED_EXIT_CODE : 1;
  }

  /** Where every exit is followed by a restart, ending would depose the other compute, which would be restarted in turn. */
  async #waitFenced(): Promise<void> {
    this.#background.abort();
    await this.#driver?.stop();
    this.#log.error(
      "fenced: another compute runs on this timeline; this one waits without Postgres and will not start it again. " +
        "Remove whichever of the two is not wanted; restart this process only to take the timeline back",
    );
    await this.#stop.requested;
  }

  async #lingerForControlPlane(): Promise<void> {
    this.#log.info("giving control plane 30s to collect the error before shutdown");
    await sleep(COLLECT_MS);
  }

  /** A signal, or our starter's end: Postgres first, without any sync, then us. */
  async #stopNow(): Promise<number> {
    if (this.#stop.reason) this.#node.endWaiting(this.#stop.reason);
    const answered = sleep(ANSWER_MS);
    await stopNeighbours(this.#options.dev, this.#log);
    if (this.#postmaster !== undefined) {
      const gone = this.#postmaster.exit !== undefined;
      const limits = { smart: 0, fast: this.#options.stopTimeoutMs, immediate: 5_000 };
      void this.#postmaster.stop("fast", limits);
      const exit = await exitedAndSaid(this.#postmaster);
      if (!gone) this.#log.info(`Postgres exited with code ${describeExit(exit)}, shutting down`);
      await cleanUp(this.#options);
    }
    await answered;
    return this.#fenced ? FENCED_EXIT_CODE : 1;
  }
}
