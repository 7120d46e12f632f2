/** State of the last prewarm, as `GET /lfc/prewarm` shows it (contract: http-api.md 7.12). */
export type PrewarmState =
  | { readonly status: "not_prewarmed" | "prewarming" | "skipped" | "cancelled" }
  | { readonly status: "failed"; readonly error: string }
  | ({ readonly status: "completed" } & PrewarmFigures);

export interface PrewarmFigures {
  /** Pages. */
  readonly total: number;
  readonly prewarmed: number;
  readonly skipped: number;
  readonly state_download_time_ms: number;
  readonly uncompress_time_ms: number;
  readonly prewarm_time_ms: number;
}

/** State of the last offload, as `GET /lfc/offload` shows it (contract: http-api.md 7.13). */
export type OffloadState =
  | { readonly status: "not_offloaded" | "offloading" | "skipped" }
  | { readonly status: "failed"; readonly error: string }
  | ({ readonly status: "completed" } & OffloadFigures);

export interface OffloadFigures {
  readonly state_query_time_ms: number;
  readonly compress_time_ms: number;
  readonly state_upload_time_ms: number;
}

/** Saving and restoring what Neon's Postgres has in its local file cache. */
export interface LocalFileCacheApi {
  /**
   * Starts a prewarm in the background; false while one runs.
   *
   * @param fromEndpoint whose saved state is loaded; null means our own
   */
  startPrewarm(fromEndpoint: string | null): boolean;
  /** Without a running prewarm nothing happens. */
  cancelPrewarm(): void;
  readonly prewarmState: PrewarmState;
  /** Starts an offload in the background; false while one runs. */
  startOffload(): boolean;
  readonly offloadState: OffloadState;
}
