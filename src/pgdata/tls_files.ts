import { createPrivateKey, X509Certificate } from "node:crypto";
import { chown, mkdir, readFile, readlink, rename, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { type Owner, replaceFile } from "../disk/atomic_file.ts";
import { CodedError, errorChain } from "../errors/coded_error.ts";

/** PEM text of a certificate chain, the server's own first, and of its private key. */
export interface TlsPair {
  readonly certificate: string;
  readonly key: string;
}

/** Waiting, as {@link waitForTlsPair} needs it. */
export interface WaitClock {
  /** Milliseconds, from anywhere, never backwards. */
  now(): number;
  sleep(ms: number, signal: AbortSignal | undefined): Promise<unknown>;
}

export interface TlsWaitOptions {
  readonly clock: WaitClock;
  /** 60 s unless told; the original waits for ever (contract: postgres-config.md 8). */
  readonly timeoutMs?: number;
  readonly pollMs?: number;
  readonly signal?: AbortSignal | undefined;
  /** Told of each failed attempt that is followed by another one. */
  readonly onRetry?: (error: CodedError) => void;
}

const LINK = "server_tls";
const SLOTS = ["server_tls.a", "server_tls.b"] as const;
const CERTIFICATE = "server.crt";
const KEY = "server.key";

/** All that {@link writeTlsPair} may put into PGDATA, relative to it: not stale after a base backup. */
export const TLS_PATHS: readonly string[] = [
  CERTIFICATE,
  KEY,
  LINK,
  ...SLOTS.flatMap((slot) => [slot, `${slot}/${CERTIFICATE}`, `${slot}/${KEY}`]),
];

/** Throws `tls_pair_invalid` unless the key, of any type, belongs to the first certificate. */
export function checkTlsPair(pair: TlsPair): void {
  let matches: boolean;
  try {
    matches = new X509Certificate(pair.certificate).checkPrivateKey(createPrivateKey(pair.key));
  } catch (error) {
    throw new CodedError("tls_pair_invalid", "TLS certificate or key is not readable PEM, or the key is encrypted", {
      cause: error,
    });
  }
  if (!matches) throw new CodedError("tls_pair_invalid", "TLS key does not belong to the TLS certificate");
}

/** Reads and checks both files once. */
async function readTlsPair(certificatePath: string, keyPath: string): Promise<TlsPair> {
  let pair: TlsPair;
  try {
    pair = { certificate: await readFile(certificatePath, "utf8"), key: await readFile(keyPath, "utf8") };
  } catch (error) {
    throw new CodedError("tls_pair_invalid", "could not read TLS certificate and key", { cause: error });
  }
  checkTlsPair(pair);
  return pair;
}

/**
 * Reads both files, again and again until they are there and match: whoever renews them writes one after the other.
 * Throws `tls_pair_invalid` with the last reason when the time is up, and the signal's reason when aborted.
 */
export async function waitForTlsPair(
  certificatePath: string,
  keyPath: string,
  options: TlsWaitOptions,
): Promise<TlsPair> {
  const { clock, signal, timeoutMs = 60_000, pollMs = 1_000 } = options;
  const end = clock.now() + timeoutMs;
  for (;;) {
    signal?.throwIfAborted();
    try {
      return await readTlsPair(certificatePath, keyPath);
    } catch (error) {
      const failure = error instanceof CodedError ? error : new CodedError("tls_pair_invalid", errorChain(error));
      const left = end - clock.now();
      if (left <= 0) {
        throw new CodedError(
          "tls_pair_invalid",
          `no usable TLS certificate ${certificatePath} with key ${keyPath} after ${timeoutMs / 1000} s`,
          { cause: failure },
        );
      }
      options.onRetry?.(failure);
      await clock.sleep(Math.min(pollMs, left), signal);
    }
  }
}

/**
 * Puts a pair into PGDATA as `server.crt` and `server.key`, mode 0600. Both names lead through one symlink, and replacing
 * a pair is one rename of that symlink: at no moment do certificate and key of different pairs stand side by side.
 */
export async function writeTlsPair(pgdata: string, pair: TlsPair, owner: Owner | undefined): Promise<void> {
  const current = await readlink(join(pgdata, LINK)).catch(() => undefined);
  const slot = current === SLOTS[0] ? SLOTS[1] : SLOTS[0];
  const directory = join(pgdata, slot);
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, 0o700);
  await replaceFile(join(directory, CERTIFICATE), pair.certificate, { owner, durable: false });
  await replaceFile(join(directory, KEY), pair.key, { owner, durable: false });
  if (owner) await chown(directory, owner.uid, owner.gid);
  await replaceLink(join(pgdata, LINK), slot);
  for (const name of [CERTIFICATE, KEY]) await replaceLink(join(pgdata, name), `${LINK}/${name}`);
}

async function replaceLink(path: string, target: string): Promise<void> {
  if ((await readlink(path).catch(() => undefined)) === target) return;
  const temporary = `${path}.tmp`;
  await rm(temporary, { recursive: true, force: true });
  await symlink(target, temporary);
  await rename(temporary, path);
}
