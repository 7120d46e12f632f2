import * as z from "zod/mini";
import { type Immutable, optional } from "./field.ts";

/**
 * A public key as it came. Which keys can verify anything is found out by whoever verifies: an algorithm that nobody
 * knows, or unusable key material, must not stop a start (contract: spec.md 1.3, lifecycle.md 3).
 */
const jwkSchema = z.record(z.string(), z.unknown());

const jwksSchema = z.object({ keys: z.array(jwkSchema) });

/** Where the server certificate and its key lie. */
export const tlsSchema = z.object({ key_path: z.string(), cert_path: z.string() });

/** Settings of compute_ctl itself, taken once at process start (contract: spec.md 1.3). */
export const computeCtlConfigSchema = z.object({ jwks: jwksSchema, tls: optional(tlsSchema) });

export type Jwk = Immutable<z.output<typeof jwkSchema>>;
export type TlsConfig = Immutable<z.output<typeof tlsSchema>>;
export type ComputeCtlConfig = Immutable<z.output<typeof computeCtlConfigSchema>>;
