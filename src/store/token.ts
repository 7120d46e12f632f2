import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { JWTPayload } from "jose";
import { CodedError } from "../errors/coded_error.ts";
import { parseId } from "./ids.ts";
import { StoreError } from "./store_error.ts";

/** What a good token says (contract: storage-protocols.md 0.1). */
export interface Claims {
  readonly scope: string;
  /** Lower-case hex; always there with scope `tenant`. */
  readonly tenantId: string | undefined;
}

/** Checks a token's signature and times. */
export type TokenVerifier = (token: string) => Promise<Claims>;

const LEEWAY_SECONDS = 60;

/**
 * Loads the public key in a PEM file, or all those in a directory (not those below it), each of which may have signed a
 * token. The verifier throws the StoreError `unauthorized`, with the reason but never with the token.
 */
export async function loadTokenVerifier(path: string): Promise<TokenVerifier> {
  const keys = await Promise.all((await keyFiles(path)).map(readKey));
  const { jwtVerify } = await import("jose");
  if (keys.length === 0) throw new CodedError("no_public_key", `there is no public key in ${path}`, { exitCode: 2 });
  return async (token) => {
    let failure: unknown;
    for (const key of keys) {
      try {
        const { payload } = await jwtVerify(token, key, { algorithms: ["EdDSA"], clockTolerance: LEEWAY_SECONDS });
        return claimsOf(payload);
      } catch (error) {
        failure = error;
      }
    }
    if (failure instanceof StoreError) throw failure;
    throw new StoreError("unauthorized", "the token was not accepted", failure);
  };
}

export type StorageRole = "pageserver" | "safekeeper";

/**
 * Whether a token opens this tenant at this end of the storage.
 *
 * @throws StoreError `unauthorized`
 */
export function checkPermission(claims: Claims | undefined, tenantId: string, role: StorageRole): void {
  if (!claims) return;
  if (claims.scope === (role === "pageserver" ? "pageserverapi" : "safekeeperdata")) return;
  if (claims.scope !== "tenant")
    throw new StoreError("unauthorized", `JWT scope '${claims.scope}' is ineligible for ${role} auth`);
  if (claims.tenantId !== tenantId) throw new StoreError("unauthorized", `Tenant id mismatch. Permission denied`);
}

function claimsOf(payload: JWTPayload): Claims {
  // The original's library refuses every audience when none is expected.
  if (payload.aud !== undefined) throw new StoreError("unauthorized", "the token has an audience");
  const { scope, tenant_id } = payload;
  if (typeof scope !== "string") throw new StoreError("unauthorized", "the token has no scope");
  const tenantId = typeof tenant_id === "string" ? parseId(tenant_id) : undefined;
  if (scope === "tenant" && tenantId === undefined)
    throw new StoreError("unauthorized", "the token has scope tenant, but no tenant id");
  return { scope, tenantId };
}

async function keyFiles(path: string): Promise<string[]> {
  if ((await stat(path)).isFile()) return [path];
  const files: string[] = [];
  for (const name of await readdir(path)) if ((await stat(join(path, name))).isFile()) files.push(join(path, name));
  return files.sort();
}

async function readKey(path: string): ReturnType<typeof import("jose")["importSPKI"]> {
  // Loaded only where tokens are asked for.
  const { importSPKI } = await import("jose");
  try {
    return await importSPKI(await readFile(path, "utf8"), "EdDSA");
  } catch (error) {
    throw new CodedError("invalid_public_key", `${path} holds no Ed25519 public key in PEM form`, {
      exitCode: 2,
      cause: error,
    });
  }
}
