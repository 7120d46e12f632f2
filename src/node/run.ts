import { errorChain } from "../errors/coded_error.ts";
import { findServiceManager } from "../supervision/find_service_manager.ts";
import { SUPERVISOR_FD, watchSupervisor } from "../supervision/starter_pipe.ts";
import { createLogger } from "../telemetry/log.ts";
import { parseLogFilter } from "../telemetry/log_level.ts";
import type { ComputeOptions } from "./compute_options.ts";
import { LifeCycle } from "./life_cycle.ts";
import { reportState } from "./report_state.ts";
import { StopRequest } from "./stop_request.ts";

/**
 * Runs one compute from the parsed command line to its end (contract: lifecycle.md 4).
 *
 * @param warnings about the command line, for the log
 * @returns the process's exit code
 */
export async function runComputeNode(options: ComputeOptions, warnings: readonly string[]): Promise<number> {
  const log = createLogger({
    level: parseLogFilter(options.env.RUST_LOG),
    write: (line) => void process.stderr.write(line),
  });
  log.info("logging and tracing started");
  for (const warning of warnings) log.warn(warning);
  const stop = new StopRequest(log);
  // Before any child could inherit its variables.
  const manager = findServiceManager(options.env, (message) => log.warn(message));
  // Who reads our log may go before us; that must not end us in the middle of things, with Postgres left behind.
  const ignore = (): void => undefined;
  for (const stream of [process.stdout, process.stderr]) stream.on("error", ignore);
  const crash = (error: unknown): void => {
    log.error(`internal error: ${errorChain(error)}`);
    if (error instanceof Error && error.stack) log.debug(error.stack);
    stop.force();
    process.exit(1);
  };
  process.on("uncaughtException", crash);
  try {
    watchSupervisor(options.env, () =>
      stop.request(`the starter named by ${SUPERVISOR_FD} is gone, compute_ctl is stopping`),
    );
    log.info(`compute build_tag: ${options.buildTag}`);
    const life = new LifeCycle(options, log, stop);
    void manager?.then((found) => reportState(found, life.state, stop.signal));
    const code = await life.run();
    log.info("shutting down");
    return code;
  } finally {
    await (await manager)?.close();
    stop.dispose();
    process.off("uncaughtException", crash);
  }
}
