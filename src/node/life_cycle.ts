import { setTimeout as sleep } from "node:timers/promises";
import { CodedError, errorChain } from "../errors/coded_error.ts";
import { EXTERNAL_ROUTES } from "../http/external_routes.ts";
import { type HttpServer, listen } from "../http/listen.ts";
import { createRouter } from "../http/router.ts";
import { createAuthorize } from "../http/token.ts";
import { parseConnstr } from "../postgres/connstr.ts";
import type { Postmaster } from "../postgres/postmaster.ts";
import { describeExit } from "../postgres/process_exit.ts";
import { resolveSpec } from "../spec/resolve.ts";
import type { ResolvedSpec } from "../spec/resolved_spec.ts";
import type { ComputeConfig } from "../spec/schema.ts";
import { ComputeMetrics } from "../telemetry/compute_metrics.ts";
import type { Logger } from "../telemetry/log.ts";
import { display } from "../telemetry/log_line.ts";
import { StageRecorder } from "../telemetry/stage.ts";
import { emptyStartupMetrics, formatStartupMetrics } from "../telemetry/startup_metrics.ts";
import { afterPostgres, cleanUp } from "./after_postgres.ts";
import { ComputeNode } from "./compute_node.ts";
import type { ComputeOptions } from "./compute_options.ts";
import { loadConfig } from "./load_config.ts";
import { inspectMachine, type Machine } from "./machine.ts";
import { createNeonDriver } from "./neon_driver.ts";
import { reconfigure } from "./reconfigure.ts";
import type { ServerDriver } from "./server_driver.ts";
import { startCompute } from "./start_compute.ts";
import { createStockDriver } from "./stock_driver.ts";
import type { StopRequest } from "./stop_request.ts";

/** How long a control plane may collect the outcome after a failed start or a fast terminate. */
const COLLECT_MS = 30_000;
/** Long enough for the answer to `/terminate` to get out; `neon_local` waits 10 s at most. */
const LINGER_MS = 300;

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
  #postmaster: Postmaster | undefined;
  #driver: ServerDriver | undefined;

  constructor(options: ComputeOptions, log: Logger, stop: StopRequest) {
    this.#options = options;
    this.#log = log;
    this.#stop = stop;
    this.#metrics = new ComputeMetrics(options.buildTag);
    this.#node = new ComputeNode(log, this.#metrics, this.#startup);
  }

  async run(): Promise<number> {
    parseConnstr(this.#options.connstr);
    const [config, machine] = await Promise.all([
      loadConfig(this.#options, this.#metrics, this.#log, this.#stop.signal),
      inspectMachine(this.#options, this.#log),
    ]);
    const first = config.spec === null ? null : resolveSpec(config.spec);
    this.#node.restartClock();
    // With a spec at hand nobody may ever see `empty`: pollers take that for a failure.
    if (first !== null) this.#node.takeFirstSpec(first);
    const tls = config.compute_ctl_config.tls;
    this.#node.attach({
      requestStop: () => void this.#postmaster?.kill("SIGINT"),
      reconfigure: (resolved) => reconfigure({ resolved, options: this.#options, machine, tls, log: this.#log }),
    });
    this.#stop.force = () => {
      this.#postmaster?.kill("SIGQUIT");
      process.exit(1);
    };
    await this.#listen(config);
    try {
      const ended = await Promise.race([this.#live(config, machine), this.#stop.requested]);
      return ended === "stop" ? await this.#stopNow() : ended;
    } finally {
      await this.#driver?.stop();
      for (const server of this.#servers) server.close();
    }
  }

  async #listen(config: ComputeConfig): Promise<void> {
    const { lakebaseMode, env, computeId, externalHttpPort, internalHttpPort, internalHttpAddr } = this.#options;
    const log = this.#log;
    const common = { compute: this.#node, log };
    const open = lakebaseMode && env.INSTANCE_ID !== undefined;
    if (open) log.warn("INSTANCE_ID is set in lakebase mode: the external HTTP API asks for no authorization");
    const authorize = createAuthorize({ keys: config.compute_ctl_config.jwks.keys, computeId, log });
    const external = createRouter({ ...common, routes: EXTERNAL_ROUTES, ...(open ? {} : { authorize }) });
    const internal = createRouter({ ...common, routes: [] });
    this.#servers.push(await listen({ name: "external", app: external, port: externalHttpPort, hosts: ["::"], log }));
    const hosts = internalHttpAddr === null ? ["127.0.0.1", "::1"] : [internalHttpAddr];
    this.#servers.push(await listen({ name: "internal", app: internal, port: internalHttpPort, hosts, log }));
  }

  /** From here to the end of Postgres, or of its failed start. */
  async #live(config: ComputeConfig, machine: Machine): Promise<number> {
    const resolved = this.#node.spec ?? (await this.#waitForSpec());
    // Terminated before any spec came.
    if (resolved === null) return 0;
    const driver = this.#createDriver(machine, resolved);
    this.#driver = driver;
    const stages = new StageRecorder();
    let postmaster: Postmaster;
    try {
      postmaster = await startCompute({
        options: this.#options,
        machine,
        resolved,
        driver,
        tls: config.compute_ctl_config.tls,
        startup: this.#startup,
        stages,
        log: this.#log,
        signal: this.#stop.signal,
        onSpawn: (spawned) => {
          this.#postmaster = spawned;
        },
      });
    } catch (error) {
      return await this.#failStart(error);
    }
    this.#startup.total_startup_ms = Date.now() - this.#node.startTime.getTime();
    this.#node.state.apply("start_done");
    const figures = { metrics: display(formatStartupMetrics(this.#startup)), postmaster_pid: postmaster.pid };
    this.#log.span("start_compute").info("compute start finished", figures);
    this.#log.debug(`stages of the start\n${stages.waterfall()}`);
    return await this.#watchPostgres(postmaster, { machine, resolved, driver });
  }

  #createDriver(machine: Machine, resolved: ResolvedSpec): ServerDriver {
    const common = { startup: this.#startup, log: this.#log };
    if (machine.installation.kind === "stock")
      return createStockDriver({ ...common, pgdata: this.#options.pgdata, resolved });
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
    // Published only when nothing is left: who reads `failed` may kill us at once, and would leave an orphan.
    await this.#postmaster?.stop("immediate");
    this.#stop.signal.throwIfAborted();
    const reason = errorChain(error);
    this.#log.error(`could not start the compute node: ${reason}`);
    if (error instanceof Error && !(error instanceof CodedError) && error.stack) this.#log.debug(error.stack);
    await cleanUp(this.#options);
    this.#node.state.apply("start_fails", reason);
    await this.#lingerForControlPlane();
    return 1;
  }

  async #watchPostgres(postmaster: Postmaster, { machine, driver }: Life): Promise<number> {
    const exit = await postmaster.exited;
    this.#stop.signal.throwIfAborted();
    this.#log.info(`Postgres exited with code ${describeExit(exit)}, shutting down`);
    const fast = this.#node.state.state === "termination_pending_fast";
    const terminating = fast || this.#node.state.state === "termination_pending_immediate";
    const isPrimary = this.#node.spec?.spec.mode.kind === "primary";
    try {
      const lsn = await afterPostgres({ options: this.#options, machine, driver, isPrimary, log: this.#log });
      if (terminating) this.#node.finishTermination(lsn);
    } catch (error) {
      this.#node.endWaiting(new CodedError("shutdown_failed", `running compute node: ${errorChain(error)}`));
      await sleep(LINGER_MS);
      throw new CodedError("shutdown_failed", "running compute node", { cause: error });
    }
    if (!terminating)
      this.#node.endWaiting(new CodedError("postgres_exited", `Postgres exited with code ${describeExit(exit)}`));
    if (fast) await this.#lingerForControlPlane();
    else await sleep(LINGER_MS);
    return exit.code ?? 1;
  }

  async #lingerForControlPlane(): Promise<void> {
    this.#log.info("giving control plane 30s to collect the error before shutdown");
    await sleep(COLLECT_MS);
  }

  /** A signal, or our starter's end: Postgres first, without any sync, then us. */
  async #stopNow(): Promise<number> {
    if (this.#stop.reason) this.#node.endWaiting(this.#stop.reason);
    if (this.#postmaster !== undefined) {
      const limits = { smart: 0, fast: this.#options.stopTimeoutMs, immediate: 5_000 };
      const exit = await this.#postmaster.stop("fast", limits);
      this.#log.info(`Postgres exited with code ${describeExit(exit)}, shutting down`);
      await cleanUp(this.#options);
    }
    return 1;
  }
}
