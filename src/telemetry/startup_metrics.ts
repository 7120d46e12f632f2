/**
 * The start-up figures of `/metrics.json`: names and order are the contract's (lifecycle.md 19). Whole numbers, 0 until
 * measured; milliseconds unless the name says otherwise.
 */
export interface StartupMetrics {
  /** An Empty compute: from the start of the process to the spec. */
  wait_for_spec_ms: number;
  sync_sk_check_ms: number;
  sync_safekeepers_ms: number;
  pageserver_connect_micros: number;
  basebackup_ms: number;
  /** Compressed, as received. */
  basebackup_bytes: number;
  start_postgres_ms: number;
  config_ms: number;
  total_startup_ms: number;
  load_ext_ms: number;
  num_ext_downloaded: number;
  largest_ext_size: number;
  total_ext_download_size: number;
}

export function emptyStartupMetrics(): StartupMetrics {
  return {
    wait_for_spec_ms: 0,
    sync_sk_check_ms: 0,
    sync_safekeepers_ms: 0,
    pageserver_connect_micros: 0,
    basebackup_ms: 0,
    basebackup_bytes: 0,
    start_postgres_ms: 0,
    config_ms: 0,
    total_startup_ms: 0,
    load_ext_ms: 0,
    num_ext_downloaded: 0,
    largest_ext_size: 0,
    total_ext_download_size: 0,
  };
}

/** The form in which the log line `compute start finished` shows them. */
export function formatStartupMetrics(metrics: StartupMetrics): string {
  const fields = Object.entries(metrics).map(([name, value]) => `${name}: ${String(value)}`);
  return `ComputeMetrics { ${fields.join(", ")} }`;
}
