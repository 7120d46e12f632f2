import { createHash } from "node:crypto";
import { matchesScramVerifier } from "../wire/scram_verifier.ts";

/** What goes behind `PASSWORD`: null, a verifier that is stored as it is, or a text that the server hashes. */
export type Password = string | null;

const MD5_STORED = /^md5[0-9a-f]{32}$/;

/**
 * The literal for a spec's `encrypted_password`: SCRAM verifiers and ready-made `md5…` hashes as they are, all else with
 * the prefix `md5`, which makes 32 hex digits a hash and anything else a plain text (contract: reconcile.md 6.4).
 */
export function passwordFromSpec(encrypted: string | null | undefined): Password {
  if (encrypted === null || encrypted === undefined) return null;
  if (encrypted.startsWith("SCRAM-SHA-256") || MD5_STORED.test(encrypted)) return encrypted;
  return `md5${encrypted}`;
}

/**
 * Whether setting the password would change anything. A wanted text that is no verifier was hashed by the server when
 * it was set, so it is tried against what is stored: otherwise the role would be altered at every run.
 */
export function passwordIsSet(wanted: Password, stored: string | null, role: string): boolean {
  if (wanted === stored) return true;
  if (wanted === null || stored === null || MD5_STORED.test(wanted)) return false;
  if (MD5_STORED.test(stored))
    return (
      stored ===
      `md5${createHash("md5")
        .update(wanted + role)
        .digest("hex")}`
    );
  // Outside ASCII a role too many is altered, no harm.
  return matchesScramVerifier(wanted, stored);
}
