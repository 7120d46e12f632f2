const SIMPLE: Readonly<Record<string, string>> = {
  lfc_cache_size_limit: "size limit of the local file cache in bytes",
  lfc_hits: "pages found in the local file cache",
  lfc_misses: "pages not found in the local file cache",
  lfc_used: "chunks of the local file cache in use",
  lfc_writes: "pages written to the local file cache",
};
const WINDOWS = "lfc_approximate_working_set_size_windows";

/**
 * A stock server has no local file cache: every family is there and 0, because an autoscaler takes a missing one for a
 * failed scrape (contract: metrics-and-logs.md 6).
 */
export const STOCK_AUTOSCALING_METRICS: string = [
  ...Object.entries(SIMPLE).flatMap(([name, help]) => [`# HELP ${name} ${help}`, `# TYPE ${name} gauge`, `${name} 0`]),
  `# HELP ${WINDOWS} distinct pages touched in the last seconds`,
  `# TYPE ${WINDOWS} gauge`,
  ...Array.from({ length: 60 }, (_, index) => `${WINDOWS}{duration_seconds="${(index + 1) * 60}"} 0`),
  "",
].join("\n");
