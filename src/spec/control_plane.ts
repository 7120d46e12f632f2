import { CodedError, errorChain } from "../errors/coded_error.ts";
import type { Logger } from "../telemetry/log.ts";
import { http } from "../wire/node_http.ts";
import { decodeControlPlaneResponse } from "./decode.ts";
import type { ComputeConfig } from "./schema.ts";

const ATTEMPTS = 3;
const PAUSE_MS = 100;
const REQUEST_TIMEOUT_MS = 30_000;

/** As much of `fetch` as is needed here. */
type FetchText = (
  url: string,
  init: { readonly headers: Record<string, string>; readonly signal: AbortSignal },
) => Promise<{
  readonly status: number;
  readonly body: { cancel(): Promise<void> } | null;
  text(): Promise<string>;
}>;

export interface FetchConfigOptions {
  /** `--control-plane-uri`, used as it is: no slash is added or taken away. */
  readonly uri: string;
  /** `--compute-id`, not URL-encoded. */
  readonly computeId: string;
  /** `NEON_CONTROL_PLANE_TOKEN`; unset means an empty token, and the header is sent all the same. */
  readonly token: string | undefined;
  readonly fetch: FetchText;
  readonly wait: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  readonly log: Pick<Logger, "warn" | "error">;
  /** Called once an attempt: the status with its reason phrase, or `unknown` when there was no response. */
  readonly countRequest: (outcome: { readonly httpStatus: string }) => void;
  readonly signal: AbortSignal;
  /** For one request, its body included. */
  readonly requestTimeoutMs?: number;
}

/**
 * Asks the control plane for the config: three attempts, 100 ms apart (contract: spec.md 1.4, lifecycle.md 3). A spec
 * that comes with the status `empty` is used.
 *
 * @throws CodedError `control_plane_status`, `control_plane_no_spec` or `control_plane_token` at once,
 *   `control_plane_exhausted` after the third attempt; the signal's reason when it was aborted
 */
export async function fetchConfig(options: FetchConfigOptions): Promise<ComputeConfig> {
  try {
    return await fetchWithRetries(options);
  } catch (error) {
    options.signal.throwIfAborted();
    options.log.error(
      `cannot get response from control plane: ${errorChain(error)}\nneither a spec nor word that the compute is empty was received`,
    );
    throw error;
  }
}

async function fetchWithRetries(options: FetchConfigOptions): Promise<ComputeConfig> {
  let last: unknown;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    try {
      return await fetchOnce(options);
    } catch (error) {
      options.signal.throwIfAborted();
      if (error instanceof FinalControlPlaneError) throw error;
      options.log.warn(`attempt ${attempt} to get config failed with: ${errorChain(error)}`);
      last = error;
    }
    if (attempt < ATTEMPTS) await options.wait(PAUSE_MS, options.signal);
  }
  throw new CodedError(
    "control_plane_exhausted",
    "Exhausted all attempts to retrieve the config from the control plane",
    { cause: last },
  );
}

/** Another attempt would end the same way. */
class FinalControlPlaneError extends CodedError {}

async function fetchOnce(options: FetchConfigOptions): Promise<ComputeConfig> {
  const response = await request(options);
  const { status } = response;
  if (status !== 200) await response.body?.cancel();
  if (status === 502 || status === 503)
    throw new CodedError("control_plane_unavailable", `control plane answered ${statusLine(status)}`);
  if (status !== 200)
    throw new FinalControlPlaneError(
      "control_plane_status",
      `unexpected control plane response status code: ${statusLine(status)}`,
    );
  const { status: state, spec, compute_ctl_config } = decodeControlPlaneResponse(await response.text());
  if (state === "attached" && spec === null)
    throw new FinalControlPlaneError("control_plane_no_spec", "compute is attached, but spec is empty");
  return { spec, compute_ctl_config };
}

async function request(options: FetchConfigOptions): ReturnType<FetchText> {
  const init = {
    headers: { Authorization: bearer(options.token) },
    // Also ends the reading of the body.
    signal: AbortSignal.any([options.signal, AbortSignal.timeout(options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS)]),
  };
  let httpStatus = "unknown";
  try {
    const response = await options.fetch(`${options.uri}/compute/api/v2/computes/${options.computeId}/spec`, init);
    httpStatus = statusLine(response.status);
    return response;
  } finally {
    options.countRequest({ httpStatus });
  }
}

function bearer(token = ""): string {
  // Checked here because the message of whoever finds out later would quote the token.
  if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(token.trim()))
    throw new FinalControlPlaneError("control_plane_token", "NEON_CONTROL_PLANE_TOKEN is not fit for an HTTP header");
  return `Bearer ${token.trim()}`;
}

function statusLine(status: number): string {
  return `${status} ${http.STATUS_CODES[status] ?? "<unknown status code>"}`;
}
