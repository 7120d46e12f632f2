import { CodedError, errorChain } from "../errors/coded_error.ts";
import type { PostgresMajor } from "../postgres/installation.ts";
import { describeRunAs } from "../postgres/run_as.ts";
import { findServiceManager } from "../supervision/find_service_manager.ts";
import type { ServiceManager } from "../supervision/service_manager.ts";
import { chooseStateDirectory } from "./choose_state_directory.ts";
import { chooseServiceUser } from "./postgres_user.ts";
import { Service } from "./service.ts";
import { openStateDirectory } from "./state_directory.ts";
import { formatSummary } from "./summary.ts";

export interface ServeOptions {
  readonly dir?: string;
  /** Port of Postgres; 0: any. */
  readonly pgPort: number;
  /** What Postgres listens on besides loopback. */
  readonly pgHost: string;
  readonly pgVersion?: PostgresMajor;
  readonly pgBin?: string;
  readonly user?: string;
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** Effective uid of this process. */
  readonly uid: number;
  /** Files of the programs that run as children. */
  readonly programs: { readonly store: string; readonly compute: string };
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Aborts when the service has to stop in order. */
  readonly stop: AbortSignal;
  /** Aborts when it has to stop at once. */
  readonly force: AbortSignal;
}

/**
 * Runs the service in the foreground: starts everything, prints one block, waits for `stop`, ends everything in order.
 *
 * @returns exit code 0 after a stop that was asked for
 * @throws CodedError with the exit code of what prevents it (contract: neon-local.md A3)
 */
export async function serve(options: ServeOptions): Promise<number> {
  const began = performance.now();
  const say = (line: string): void => options.err(`${line}\n`);
  // Before any child could inherit its variables.
  const manager = await findServiceManager(options.env, say);
  try {
    return await serveUntilStopped(options, { began, say, manager });
  } finally {
    await manager?.close();
  }
}

interface Surroundings {
  readonly began: number;
  readonly say: (line: string) => void;
  readonly manager: ServiceManager | undefined;
}

async function serveUntilStopped(options: ServeOptions, { began, say, manager }: Surroundings): Promise<number> {
  const { path, notes } = await chooseStateDirectory(options);
  for (const note of notes) say(note);
  const user = await chooseServiceUser({ ...options, name: options.user, directory: path });
  if (user !== undefined) say(describeRunAs(user));
  const layout = await openStateDirectory(path, { uid: options.uid, postgresUser: user, now: Date.now });
  const service = await Service.open({ ...options, layout, postgresUser: user, say });
  let failure: unknown;
  try {
    const running = await service.start(options.stop);
    options.out(formatSummary({ ...running, startedInMs: performance.now() - began }));
    manager?.ready(`PostgreSQL ${running.version} at ${running.connectionString}`);
    await aborted(options.stop);
  } catch (error) {
    // Being stopped while starting is no failure.
    if (!options.stop.aborted) failure = error;
  }
  manager?.stopping("stopping");
  const problems = await service.stop(options.force);
  if (failure !== undefined) throw failure;
  if (problems.length === 0) return 0;
  throw new CodedError("unclean_stop", `not everything could be stopped: ${problems.map(errorChain).join("; ")}`);
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => resolve(), { once: true });
  // The process has servers and children that keep it alive until then.
  await promise;
}
