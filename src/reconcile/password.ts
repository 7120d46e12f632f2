import { createHash, createHmac, pbkdf2Sync, timingSafeEqual } from "node:crypto";

/** What goes behind `PASSWORD`: null, a verifier that is stored as it is, or a text that the server hashes. */
export type Password = string | null;

const MD5_STORED = /^md5[0-9a-f]{32}$/;
const PRINTABLE_ASCII = /^[ -~]*$/;

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
  return matchesScram(wanted, stored);
}

function matchesScram(plain: string, verifier: string): boolean {
  const match = /^SCRAM-SHA-256\$(\d+):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)$/.exec(verifier);
  const iterations = Number(match?.[1]);
  // Outside ASCII the server would normalise the text first; a role too many is altered then, no harm.
  if (!match || !PRINTABLE_ASCII.test(plain) || !(iterations > 0 && iterations <= 100_000)) return false;
  const salted = pbkdf2Sync(plain, Buffer.from(match[2] ?? "", "base64"), iterations, 32, "sha256");
  const expected = Buffer.from(match[4] ?? "", "base64");
  const serverKey = createHmac("sha256", salted).update("Server Key").digest();
  return expected.length === serverKey.length && timingSafeEqual(expected, serverKey);
}
