import { createHash } from "node:crypto";
import type { importJWK } from "jose";
import * as z from "zod/mini";
import { CodedError } from "../errors/coded_error.ts";
import type { Logger } from "../telemetry/log.ts";
import { display } from "../telemetry/log_line.ts";

/** A public key as the config document brings it; members beyond these do not matter here. */
export type JsonWebKey = Readonly<Record<string, unknown>>;

export interface AuthorizeOptions {
  readonly keys: readonly JsonWebKey[];
  readonly computeId: string;
  readonly log: Logger;
  /** Seconds since the Unix epoch. */
  readonly now?: () => number;
}

const ADMIN_SCOPE = "compute_ctl:admin";
const AUDIENCE = "compute";
const LEEWAY_SECONDS = 60;

/** Null is the same as absent; a number of `exp` that is none, or an audience that is no array, makes the token unreadable. */
const claimsSchema = z.object({
  exp: z.nullish(z.number()),
  scope: z.nullish(z.literal(ADMIN_SCOPE)),
  aud: z.nullish(z.array(z.string())),
  compute_id: z.nullish(z.string()),
});

/** Decides whether a request may pass; throws a {@link CodedError} with the answer's status otherwise. */
export type Authorize = (authorizationHeader: string | undefined) => Promise<void>;

/**
 * Checks bearer tokens against a fixed set of keys: Ed25519, or RS256 only as soon as one key says so. Keys are tried in
 * order, the token's key id is not looked at, unusable keys are skipped (contract: http-api.md 4).
 */
export function createAuthorize(options: AuthorizeOptions): Authorize {
  const algorithm = options.keys.some((key) => key.alg === "RS256") ? "RS256" : "EdDSA";
  const now = options.now ?? (() => Date.now() / 1000);
  let keys: Promise<readonly VerificationKey[]> | undefined;
  const verified = new VerifiedTokens();

  return async (header) => {
    const token = bearerToken(header);
    keys ??= importKeys(options.keys, algorithm, options.log);
    const claims = await verified.claims(token, async () => verify(token, (await keys) ?? [], algorithm, options.log));
    if (claims === undefined || (claims.exp != null && claims.exp < now() - LEEWAY_SECONDS))
      throw refused(401, "failed to verify authorization token");
    if (claims.scope === ADMIN_SCOPE) {
      if (claims.aud == null) throw refused(401, "missing audience in authorization token claims");
      if (!claims.aud.includes(AUDIENCE)) throw refused(401, "invalid audience in authorization token claims");
      return;
    }
    if (claims.compute_id == null) throw refused(403, "missing compute_id in authorization token claims");
    if (claims.compute_id !== options.computeId) throw refused(403, "invalid compute ID in authorization token claims");
  };
}

type Claims = z.infer<typeof claimsSchema>;

/** A control plane asks with one token again and again, and a signature takes longer to check than `/status` to answer. */
const REMEMBERED_TOKENS = 64;

/**
 * Tokens whose signature was good: the keys never change. By digest, so that no comparison tells how much of a guess is
 * right, and no token stays in memory.
 */
class VerifiedTokens {
  readonly #claims = new Map<string, Claims>();

  async claims(token: string, verify: () => Promise<Claims | undefined>): Promise<Claims | undefined> {
    const digest = createHash("sha256").update(token).digest("base64");
    const known = this.#claims.get(digest);
    if (known !== undefined) return known;
    const claims = await verify();
    if (claims === undefined) return undefined;
    if (this.#claims.size >= REMEMBERED_TOKENS) this.#claims.clear();
    this.#claims.set(digest, claims);
    return claims;
  }
}

interface VerificationKey {
  readonly id: string;
  readonly key: Awaited<ReturnType<typeof importJWK>>;
}

function bearerToken(header: string | undefined): string {
  const match = /^bearer +(\S.*)$/i.exec(header ?? "");
  const token = match?.[1]?.trim();
  if (!token) throw refused(400, "invalid authorization token");
  return token;
}

async function importKeys(
  keys: readonly JsonWebKey[],
  algorithm: string,
  log: Logger,
): Promise<readonly VerificationKey[]> {
  const { importJWK } = await import("jose");
  const usable: VerificationKey[] = [];
  for (const [index, jwk] of keys.entries()) {
    const id = typeof jwk.kid === "string" ? jwk.kid : `#${index}`;
    try {
      // Only the key material: a private part, usage lists or a foreign `alg` must not decide whether it can verify.
      const { kty, crv, x, n, e } = jwk as Record<string, string>;
      if (kty !== (algorithm === "EdDSA" ? "OKP" : "RSA"))
        throw new Error(`a key of type ${kty} cannot verify ${algorithm}`);
      const material = kty === "OKP" ? { kty, crv, x } : { kty, n, e };
      usable.push({ id, key: await importJWK(material as never, algorithm) });
    } catch (error) {
      log.warn("ignoring a key of the JWKS that cannot be used", { kid: display(id), reason: String(error) });
    }
  }
  return usable;
}

async function verify(
  token: string,
  keys: readonly VerificationKey[],
  algorithm: string,
  log: Logger,
): Promise<Claims | undefined> {
  const { compactVerify, errors } = await import("jose");
  for (const { id, key } of keys) {
    try {
      const { payload } = await compactVerify(token, key, { algorithms: [algorithm] });
      const claims = claimsSchema.safeParse(parseObject(payload));
      if (claims.success) return claims.data;
      log.warn("a verified authorization token has claims that cannot be read", { kid: display(id) });
      return undefined;
    } catch (error) {
      if (!(error instanceof errors.JOSEError)) throw error;
      log.warn("authorization token not verified by a key", { kid: display(id), reason: error.code });
    }
  }
  return undefined;
}

function parseObject(payload: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload));
  } catch {
    // Not JSON is as unreadable as JSON of another shape; the caller says so.
    return undefined;
  }
}

function refused(status: number, message: string): CodedError {
  return new CodedError("unauthorized", message, { status });
}
