import { errorChain } from "../errors/coded_error.ts";
import type { Logger } from "../telemetry/log.ts";
import { APPLICATION_NAMES, type Connect, withSession } from "./session.ts";

/**
 * Brings Neon's extension to the version of its files; after every primary start, in the background, also when the
 * reconcile was skipped. Only logs a failure (contract: reconcile.md 6.10). Not for a stock server.
 */
export async function updateNeonExtension(options: {
  readonly connect: Connect;
  readonly systemDatabase: string;
  readonly log: Logger;
}): Promise<void> {
  try {
    await withSession(options.connect, options.systemDatabase, APPLICATION_NAMES.postApply, (session) =>
      session.query("ALTER EXTENSION neon UPDATE"),
    );
  } catch (error) {
    options.log.error(`error while post_apply_config: ${errorChain(error)}`);
  }
}
