import { setTimeout as sleep } from "node:timers/promises";
import { runLeaseLoop } from "../basebackup/lease_loop.ts";
import { requestLeases } from "../basebackup/lsn_lease.ts";
import { allPageservers } from "../spec/connection.ts";
import type { ResolvedSpec } from "../spec/resolved_spec.ts";
import type { ComputeMetrics } from "../telemetry/compute_metrics.ts";
import type { Logger } from "../telemetry/log.ts";
import { display } from "../telemetry/log_line.ts";
import { formatLsn, type Lsn } from "../wire/lsn.ts";
import type { PageserverChanges } from "./pageserver_changes.ts";

export interface LeaseOptions {
  /** The spec of the start: what is leased does not change with later ones. */
  readonly resolved: Pick<ResolvedSpec, "tenantId" | "timelineId">;
  readonly lsn: Lsn;
  /** The spec in force: pageservers and token may change. */
  readonly spec: () => ResolvedSpec;
  readonly changes: PageserverChanges;
  readonly metrics: Pick<ComputeMetrics, "leaseRequests">;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/**
 * Keeps the LSN of a static compute readable: begins before the base backup, ends with the signal (contract: lifecycle.md 9).
 */
export async function keepLease(options: LeaseOptions): Promise<void> {
  const { lsn, spec, metrics, signal } = options;
  const { tenantId, timelineId } = options.resolved;
  const log = options.log.span("lsn_lease_bg_task", {
    tenant_id: display(tenantId),
    timeline_id: display(timelineId),
    lsn: display(formatLsn(lsn)),
  });
  await runLeaseLoop({
    request: () => {
      const current = spec();
      const token = current.spec.storage_auth_token ?? undefined;
      return requestLeases(allPageservers(current), { tenantId, timelineId, lsn, token, signal });
    },
    addresses: options.changes,
    now: Date.now,
    sleep: (milliseconds, until) => sleep(milliseconds, undefined, { signal: until }),
    info: (text) => log.info(text),
    warn: (text) => log.warn(text),
    outcome: (outcome) => metrics.leaseRequests.inc({ outcome }),
    signal,
  });
}
