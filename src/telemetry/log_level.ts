/** Levels of our log, least to most talkative, and the word printed for each, right-aligned to five characters. */
const LOG_LEVELS = ["off", "error", "warn", "info", "debug", "trace"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Targets of a `RUST_LOG` directive that mean us: the original's crate and program names. */
const OUR_TARGETS = new Set(["compute_ctl", "compute_tools", "compute_api", "neon_store", "neon_local"]);

/**
 * Reads `RUST_LOG`: a level, or a comma list of `level` and `target=level`. Targets that are not ours are ignored; an
 * unreadable value means the default, `info` (contract: metrics-and-logs.md 8.1).
 */
export function parseLogFilter(text: string | undefined): LogLevel {
  let bare: LogLevel | undefined;
  let ours: LogLevel | undefined;
  for (const directive of (text ?? "").split(",")) {
    const [left, right] = directive.split("=", 2);
    const level = asLevel(right ?? left);
    if (level === undefined) continue;
    if (right === undefined) bare = level;
    else if (OUR_TARGETS.has((left ?? "").trim().split("::")[0] ?? "")) ours = level;
  }
  return ours ?? bare ?? "info";
}

function asLevel(word: string | undefined): LogLevel | undefined {
  const lower = word?.trim().toLowerCase();
  return LOG_LEVELS.find((level) => level === lower);
}
