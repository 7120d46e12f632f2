/** One thing that PostgreSQL finds wrong with its configuration. */
export interface ConfigComplaint {
  /** The file that the message names; null for complaints about values, which name none. */
  readonly file: string | null;
  /** From 1; null for complaints about values: see `linesThatSet`. */
  readonly line: number | null;
  /** Null for syntax errors. */
  readonly parameter: string | null;
  /** As PostgreSQL says it, hints and details behind it. */
  readonly message: string;
}

const RECORD = /^(?:.*? )?(DEBUG\d|INFO|NOTICE|LOG|WARNING|ERROR|FATAL|PANIC|HINT|DETAIL|CONTEXT|STATEMENT): {2}(.*)$/;
const PLACE = / in file "(.*)" line (\d+)/;
const PARAMETER = /parameter "([^"]+)"/;

/** Said beside the complaints: an include that may be missing, and the summary at the end. */
const NO_COMPLAINT = /^(?:skipping missing configuration file |configuration file ".*" contains errors)/;

/**
 * Reads what `postgres -C data_directory -c config_file=…` prints on stderr, with `LC_ALL=C`, when it refuses a file
 * (contract: postgres-config.md 4.1). Postgres reports in stages: syntax errors hide unknown names, and unknown names
 * hide bad values. So a file is only clean when a run prints no complaint at all.
 */
export function parseConfigComplaints(stderr: string): ConfigComplaint[] {
  const complaints: ConfigComplaint[] = [];
  for (const text of stderr.split(/\r?\n/)) {
    const record = RECORD.exec(text);
    const severity = record?.[1];
    const message = record?.[2];
    if (severity === undefined || message === undefined) continue;
    if (severity === "HINT" || severity === "DETAIL") {
      const last = complaints.pop();
      if (last) complaints.push({ ...last, message: `${last.message} (${message})` });
    } else if (/^(?:LOG|WARNING|ERROR|FATAL|PANIC)$/.test(severity) && !NO_COMPLAINT.test(message)) {
      const place = PLACE.exec(message);
      complaints.push({
        file: place?.[1] ?? null,
        line: place?.[2] === undefined ? null : Number(place[2]),
        parameter: PARAMETER.exec(message)?.[1] ?? null,
        message,
      });
    }
  }
  return complaints;
}
