import { setTimeout as sleep } from "node:timers/promises";
import { errorChain } from "../errors/coded_error.ts";
import { pgCtlReload } from "../postgres/tools.ts";
import { APPLICATION_NAMES, type Connect, type Session, withSession } from "../reconcile/session.ts";
import type { Logger } from "../telemetry/log.ts";

const POLL_MS = 5;
const LIMIT_MS = 5_000;

export interface Reload extends Omit<Parameters<typeof pgCtlReload>[0], "signal"> {
  readonly connect: Connect;
  readonly database: string;
  readonly log: Logger;
}

/**
 * Has Postgres read its configuration again and waits until it has: sessions that begin from then on see it. Settings that
 * need a restart are named in the log. Where no session can be had the reload is asked for all the same.
 *
 * @throws CodedError `pg_ctl_failed`
 */
export async function reloadConfiguration(reload: Reload): Promise<void> {
  const { connect, database, log } = reload;
  let sent = false;
  try {
    await withSession(connect, database, APPLICATION_NAMES.reconcile, async (session) => {
      const before = await loadTime(session);
      sent = true;
      await pgCtlReload(reload);
      const limit = performance.now() + LIMIT_MS;
      while ((await loadTime(session)) === before) {
        if (performance.now() > limit) return log.warn("Postgres has not read its configuration again yet");
        await sleep(POLL_MS);
      }
      const pending = await session.query<{ name: string }>(
        "SELECT name FROM pg_catalog.pg_settings WHERE pending_restart ORDER BY name",
      );
      if (pending.length > 0)
        log.warn(`settings that need a restart of the compute: ${pending.map(({ name }) => name).join(", ")}`);
    });
  } catch (error) {
    if (sent) throw error;
    log.warn(`cannot watch the reload of the configuration: ${errorChain(error)}`);
    await pgCtlReload(reload);
  }
}

async function loadTime(session: Session): Promise<string | undefined> {
  const [row] = await session.query<{ at: string }>("SELECT pg_catalog.pg_conf_load_time()::text AS at");
  return row?.at;
}
