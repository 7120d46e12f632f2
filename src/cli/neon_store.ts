import { CodedError, errorChain } from "../errors/coded_error.ts";
import { choosePostgresUser, describeRunAs } from "../postgres/run_as.ts";
import { type StoreServer, startStoreServer } from "../store/server.ts";
import { findServiceManager } from "../supervision/find_service_manager.ts";
import { watchSupervisor } from "../supervision/starter_pipe.ts";
import { createLogger } from "../telemetry/log.ts";
import { parseLogFilter } from "../telemetry/log_level.ts";
import { parseNeonStoreArguments } from "./neon_store_arguments.ts";
import { storeOptions } from "./neon_store_options.ts";

/** What a base backup gets to finish when the store is told to stop. */
const GRACE_MS = 5000;

/** Settles with the exit code once the store has stopped: 0 told to, 2 usage, 3 no Postgres, 4 directory, 5 address, 1 rest. */
export async function neonStore(argv: readonly string[]): Promise<number> {
  const output = {
    out: (text: string) => void process.stdout.write(text),
    err: (text: string) => void process.stderr.write(text),
  };
  const command = parseNeonStoreArguments(argv, output);
  if (command.kind === "exit") return command.code;
  if (command.kind === "check") return await (await inspect()).runCheck(command.dir, output);
  if (command.kind === "show") return await (await inspect()).runShow(command.dir, command.json, output);
  if (command.kind === "template") {
    const { runTemplate } = await import("./neon_store_template.ts");
    return await runTemplate(command.flags, process.env, output);
  }
  const { env } = process;
  const log = createLogger({ level: parseLogFilter(env.RUST_LOG), write: (line) => process.stderr.write(line) });
  // Before any child could inherit its variables.
  const manager = findServiceManager(env, (message) => log.warn(message));
  let server: StoreServer | undefined;
  const toldToStop = new AbortController();
  try {
    const { promise: told, resolve: tell } = Promise.withResolvers<string>();
    // From the beginning: who stops us while we start must not leave anything behind.
    const stop = (reason: string): void => {
      tell(reason);
      toldToStop.abort(new CodedError("told_to_stop", reason));
      void server?.stop(hurry ? 0 : GRACE_MS);
      hurry = true;
    };
    let hurry = false;
    process.on("SIGTERM", () => stop("SIGTERM"));
    process.on("SIGINT", () => stop("SIGINT"));
    watchSupervisor(env, () => stop("the supervisor is gone"));
    const { flags } = command;
    const runAs = await choosePostgresUser({ uid: process.geteuid?.() ?? -1, name: flags.user, env });
    if (runAs) log.info(describeRunAs(runAs));
    server = await startStoreServer({ ...storeOptions(flags, env, runAs), log, signal: toldToStop.signal });
    log.info("ready");
    (await manager)?.ready("ready");
    const reason = await Promise.race([told, server.failure]);
    if (typeof reason !== "string") log.error(errorChain(reason));
    else log.info("stopping", { reason });
    (await manager)?.stopping("stopping");
    await server.stop(GRACE_MS);
    return typeof reason === "string" ? 0 : 1;
  } catch (error) {
    if (toldToStop.signal.aborted) {
      log.info("stopping, although not ready yet", { reason: errorChain(toldToStop.signal.reason) });
      return 0;
    }
    log.error(errorChain(error));
    return error instanceof CodedError ? error.exitCode : 1;
  } finally {
    await (await manager)?.close();
  }
}

/** Not loaded by a store that starts. */
async function inspect(): Promise<typeof import("./neon_store_inspect.ts")> {
  return await import("./neon_store_inspect.ts");
}
