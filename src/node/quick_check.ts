import { quickCheck } from "../basebackup/quick_check.ts";
import type { ResolvedSpec } from "../spec/resolved_spec.ts";
import type { Logger } from "../telemetry/log.ts";
import type { StartupMetrics } from "../telemetry/startup_metrics.ts";
import { formatLsn, type Lsn } from "../wire/lsn.ts";

/**
 * Whether the safekeepers stand at one LSN, so that no full sync is needed (contract: lifecycle.md 7.2).
 *
 * @param timeoutMs more than the quick check's budget, for those who have no full sync to fall back to
 * @returns that LSN, or undefined when a full sync has to decide
 */
export async function checkSafekeepersSynced(
  resolved: ResolvedSpec,
  startup: StartupMetrics,
  log: Logger,
  signal: AbortSignal,
  timeoutMs?: number,
): Promise<Lsn | undefined> {
  const began = performance.now();
  const { decision, failures } = await quickCheck({
    safekeepers: resolved.safekeepers,
    tenantId: resolved.tenantId,
    timelineId: resolved.timelineId,
    token: resolved.spec.storage_auth_token ?? undefined,
    signal,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
  startup.sync_sk_check_ms = Math.round(performance.now() - began);
  if (decision.kind === "synced") {
    log.info(`safekeepers synced at LSN ${formatLsn(decision.lsn)}`);
    return decision.lsn;
  }
  if (decision.kind === "no_quorum") log.error(`failed sync safekeepers check: ${failures.join("; ")}`);
  else log.info("safekeepers are not at one LSN, a full sync is needed");
  return undefined;
}
