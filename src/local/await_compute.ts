import { setTimeout as delay } from "node:timers/promises";
import * as z from "zod/mini";
import { CodedError } from "../errors/coded_error.ts";

export interface AwaitComputeOptions {
  readonly externalHttpPort: number;
  readonly token: string;
  readonly signal: AbortSignal;
  /** Milliseconds from now until it must run; 90 s unless told, as `neon_local` has it. */
  readonly limitMs?: number;
}

const POLL_MS = 25;
const statusSchema = z.object({ status: z.string(), error: z.optional(z.nullable(z.string())) });

/**
 * Asks a compute for its status until it runs (contract: neon-local.md C6): `init` means wait, so does no answer at all; any
 * other status means that it will never run.
 *
 * @throws CodedError `compute_failed` with the compute's own words, `compute_timeout`
 */
export async function awaitCompute(options: AwaitComputeOptions): Promise<void> {
  let last = "it never answered";
  for (const end = performance.now() + (options.limitMs ?? 90_000); performance.now() < end; ) {
    const answer = await askStatus(options);
    if (typeof answer === "string") last = answer;
    else if (answer.status === "running") return;
    else if (answer.status === "init") last = "it is still starting";
    else if (answer.status === "failed")
      throw new CodedError("compute_failed", `the compute could not start: ${answer.error ?? "it gave no reason"}`);
    else throw new CodedError("compute_failed", `the compute has the unexpected status ${answer.status}`);
    await delay(POLL_MS, undefined, { signal: options.signal });
  }
  throw new CodedError("compute_timeout", `the compute did not start in time: ${last}`);
}

/** The status, or why there is none. */
async function askStatus(options: AwaitComputeOptions): Promise<z.infer<typeof statusSchema> | string> {
  try {
    const response = await fetch(`http://127.0.0.1:${options.externalHttpPort}/status`, {
      headers: { authorization: `Bearer ${options.token}` },
      signal: AbortSignal.any([options.signal, AbortSignal.timeout(5000)]),
    });
    const text = await response.text();
    if (!response.ok) return `it answered ${response.status}`;
    return statusSchema.parse(JSON.parse(text));
  } catch (error) {
    options.signal.throwIfAborted();
    // Not listening yet, or not yet in order: both are waited out, and the limit says the last of them.
    return `it could not be asked (${error instanceof Error ? error.message : String(error)})`;
  }
}
