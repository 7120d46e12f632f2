import { CodedError } from "../errors/coded_error.ts";
import { http } from "../wire/node_http.ts";

export interface ArchiveRequest {
  readonly url: string;
  readonly fetch: typeof globalThis.fetch;
  /** Told once: status with its reason phrase, or `unknown` when there was no response (contract: metrics-and-logs.md 3.3). */
  readonly onOutcome: (httpStatus: string) => void;
  /** The gateway may be silent for so long. */
  readonly idleTimeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * Fetches an archive piece by piece; redirects are followed, nothing is tried twice.
 *
 * @throws CodedError `gateway_unavailable` for a 503, `gateway_status`, `gateway_silent`; fetch's own errors
 */
export async function* fetchArchive(request: ArchiveRequest): AsyncGenerator<Buffer, void, void> {
  const silent = new AbortController();
  const timer = setTimeout(
    () => silent.abort(new CodedError("gateway_silent", `no data for ${request.idleTimeoutMs / 1000} s`)),
    request.idleTimeoutMs,
  );
  try {
    const response = await respond(request, AbortSignal.any([request.signal, silent.signal]));
    await requireSuccess(response);
    if (response.body === null) return;
    for await (const chunk of response.body) {
      timer.refresh();
      yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      // What the reader took to deal with it was not the gateway's time.
      timer.refresh();
    }
  } finally {
    clearTimeout(timer);
  }
}

async function respond({ url, fetch, onOutcome }: ArchiveRequest, signal: AbortSignal): Promise<Response> {
  let outcome = "unknown";
  try {
    const response = await fetch(url, { signal, redirect: "follow" });
    outcome = statusLine(response.status);
    return response;
  } finally {
    onOutcome(outcome);
  }
}

async function requireSuccess(response: Response): Promise<void> {
  if (response.status === 200) return;
  await response.body?.cancel();
  if (response.status === 503)
    throw new CodedError("gateway_unavailable", "remote extensions server is temporarily unavailable");
  throw new CodedError(
    "gateway_status",
    `unexpected remote extensions server response status code: ${statusLine(response.status)}`,
  );
}

function statusLine(status: number): string {
  return `${status} ${http.STATUS_CODES[status] ?? "<unknown status code>"}`;
}
