import { setTimeout as sleep } from "node:timers/promises";
import type { RouteContext } from "./route.ts";

const DISCARDED_BYTES = 8 * 1024 * 1024;
const PATIENCE_MS = 2_000;

/**
 * Reads and forgets what a refused request still sends, so that its client sees the answer and may use the connection
 * again. Of a body that is too large, slow or of unknown length nobody waits for the end.
 *
 * @returns false when the connection has to be closed
 */
export async function discardBody(context: RouteContext): Promise<boolean> {
  const { headers } = context.req.raw;
  const length = Number(headers.get("content-length") ?? 0);
  const chunked = headers.has("transfer-encoding");
  if (length === 0 && !chunked) return true;
  // Read to its end, unless it was found to be too large on the way.
  if (context.req.raw.bodyUsed) return context.res.status !== 413;
  if (chunked || length > DISCARDED_BYTES) return false;
  const reader = context.req.raw.body?.getReader();
  if (reader === undefined) return true;
  const rest = (async () => {
    while (!(await reader.read()).done);
    return true;
  })();
  const patience = new AbortController();
  try {
    return await Promise.race([rest, sleep(PATIENCE_MS, false, { signal: patience.signal })]);
  } catch {
    // The client is gone: there is no connection to keep.
    return false;
  } finally {
    patience.abort();
  }
}
