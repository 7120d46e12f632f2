import { readProcess } from "../pgdata/read_process.ts";
import type { Logger } from "../telemetry/log.ts";

/**
 * Ends what serves clients beside Postgres, so that they notice at once (contract: lifecycle.md 16.1). On a developer's
 * machine it is left alone: it may be somebody else's. Never rejects.
 */
export async function stopNeighbours(dev: boolean, log: Logger): Promise<void> {
  if (dev) {
    log.info("Skipping pgbouncer and local_proxy termination because in dev mode");
    return;
  }
  const [{ terminatePgbouncer }, { terminateLocalProxy }] = await Promise.all([
    import("../neighbours/pgbouncer.ts"),
    import("../neighbours/local_proxy.ts"),
  ]);
  await Promise.all([terminatePgbouncer({ readProcess, log }), terminateLocalProxy({ readProcess, log })]);
}
