import { CodedError, errorChain } from "../errors/coded_error.ts";
import { choosePostgresUser } from "../postgres/run_as.ts";
import { storeLayout } from "../store/layout.ts";
import { Templates } from "../store/templates.ts";
import { createLogger } from "../telemetry/log.ts";
import type { NeonStoreFlags } from "./neon_store_flags.ts";
import { storeOptions } from "./neon_store_options.ts";

interface Output {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
}

/**
 * `neon-store template`: makes the fresh cluster that new timelines are copied from, so that an image or package can bring it
 * along and nobody has to run initdb, which needs a user with a name.
 */
export async function runTemplate(
  flags: NeonStoreFlags,
  env: NodeJS.ProcessEnv,
  { out, err }: Output,
): Promise<number> {
  try {
    const runAs = await choosePostgresUser({ uid: process.geteuid?.() ?? -1, name: flags.user, env });
    const options = storeOptions(flags, env, runAs);
    const dir = options.templateDir ?? storeLayout(options.dir).templatesDir;
    const installation = await options.locate(undefined);
    const templates = new Templates({
      dir,
      initdb: options.initdb,
      initdbOptions: options.initdbOptions,
      log: createLogger({ level: "warn", write: err }),
      signal: new AbortController().signal,
    });
    await templates.get(installation);
    out(`${dir} holds a template of PostgreSQL ${installation.version}\n`);
    return 0;
  } catch (error) {
    err(`neon-store: ${errorChain(error)}\n`);
    return error instanceof CodedError ? error.exitCode : 1;
  }
}
