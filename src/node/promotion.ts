import { CodedError } from "../errors/coded_error.ts";
import type { PromotionTimings } from "../http/compute_api.ts";
import type { PrewarmState } from "../http/local_file_cache_api.ts";
import type { ResolvedSpec } from "../spec/resolved_spec.ts";
import type { Lsn } from "../wire/lsn.ts";

export interface PromotionChecks {
  readonly spec: ResolvedSpec | null;
  /** Undefined on a server that has nothing to prewarm. */
  readonly prewarm: PrewarmState | undefined;
}

/** Throws unless this compute can be made a primary (contract: http-api.md 7.11 steps 1 and 2). */
export function requirePromotable({ spec, prewarm }: PromotionChecks): void {
  const mode = spec?.spec.mode.kind ?? "unknown";
  if (mode !== "replica") throw new CodedError("not_replica", `compute mode "${mode}" is not replica`);
  if (prewarm?.status === "not_prewarmed") throw new CodedError("not_prewarmed", "compute NotPrewarmed");
  if (prewarm?.status === "prewarming") throw new CodedError("prewarming", "compute Prewarming");
}

/**
 * One promotion a process: calls that come while it runs, or after it has succeeded, get its result. A failed one is
 * forgotten, so that it can be tried again (contract: http-api.md B14).
 */
export class Promotion {
  #running: Promise<PromotionTimings> | undefined;

  run(
    promote: (spec: ResolvedSpec, walFlushLsn: Lsn) => Promise<PromotionTimings>,
    spec: ResolvedSpec,
    walFlushLsn: Lsn,
  ): Promise<PromotionTimings> {
    this.#running ??= promote(spec, walFlushLsn).catch((error: unknown) => {
      this.#running = undefined;
      throw error;
    });
    return this.#running;
  }

  get begun(): boolean {
    return this.#running !== undefined;
  }
}
