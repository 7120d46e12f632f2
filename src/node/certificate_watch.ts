import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { errorChain } from "../errors/coded_error.ts";
import type { Logger } from "../telemetry/log.ts";

const POLL_MS = 60_000;
const RETRY_MS = 1_000;

export interface CertificateWatchOptions {
  readonly path: string;
  /** Applies the new certificate; waits for its turn. */
  readonly onChange: () => Promise<void>;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly pollMs?: number;
  readonly retryMs?: number;
}

/**
 * Calls back when the content of a certificate file has changed since this call; whatever fails is tried again (contract:
 * lifecycle.md 12.5). Never rejects.
 */
export async function watchCertificate(options: CertificateWatchOptions): Promise<void> {
  const { path, onChange, log, signal } = options;
  let known: string | undefined;
  try {
    for (;;) {
      let pause = options.pollMs ?? POLL_MS;
      try {
        const digest = createHash("sha256")
          .update(await readFile(path))
          .digest("hex");
        if (known !== undefined && digest !== known) {
          log.info(`certificate ${path} has changed`);
          await onChange();
        }
        known = digest;
      } catch (error) {
        signal.throwIfAborted();
        log.error(`could not apply certificate ${path}: ${errorChain(error)}`);
        pause = options.retryMs ?? RETRY_MS;
      }
      await sleep(pause, undefined, { signal });
    }
  } catch (error) {
    if (!signal.aborted) log.error(`certificate watch failed: ${errorChain(error)}`);
  }
}
