import { CodedError } from "../errors/coded_error.ts";
import { type Lsn, parseLsn } from "../wire/lsn.ts";
import { LibpqSession } from "./libpq_session.ts";

export interface TimelineStatus {
  readonly flushLsn: Lsn;
  readonly commitLsn: Lsn;
}

export interface TimelineStatusOptions {
  /** `host:port`. */
  readonly safekeeper: string;
  readonly tenantId: string;
  readonly timelineId: string;
  readonly token: string | undefined;
  /** For everything, the connect included. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Asks one safekeeper how far it is; null when it does not know the timeline (contract: lifecycle.md 7.2, storage-protocols.md 5.2). */
export async function timelineStatus(options: TimelineStatusOptions): Promise<TimelineStatus | null> {
  const { safekeeper, timeoutMs } = options;
  const timeout = new AbortController();
  const timer = setTimeout(
    () =>
      timeout.abort(new CodedError("safekeeper_timeout", `safekeeper ${safekeeper}: no answer within ${timeoutMs} ms`)),
    timeoutMs,
  );
  let session: LibpqSession | undefined;
  try {
    session = await LibpqSession.connect({
      connectionString: `postgresql://no_user@${safekeeper}`,
      password: options.token,
      // The second pair has no -c: the safekeeper splits at blanks.
      options: `-c timeline_id=${options.timelineId} tenant_id=${options.tenantId}`,
      connectTimeoutMs: timeoutMs,
      idleTimeoutMs: timeoutMs,
      signal: AbortSignal.any([options.signal, timeout.signal]),
    });
    const { columns, rows } = await session.query("TIMELINE_STATUS");
    const row = rows[0];
    if (row === undefined) return null;
    const flush = row[columns.indexOf("flush_lsn")];
    const commit = row[columns.indexOf("commit_lsn")];
    if (typeof flush !== "string" || typeof commit !== "string")
      throw new CodedError("protocol_violation", `safekeeper ${safekeeper}: TIMELINE_STATUS without its two columns`);
    return { flushLsn: parseLsn(flush), commitLsn: parseLsn(commit) };
  } finally {
    clearTimeout(timer);
    session?.close();
  }
}
