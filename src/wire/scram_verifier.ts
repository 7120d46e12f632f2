import { createHash, createHmac, pbkdf2Sync, timingSafeEqual } from "node:crypto";

const VERIFIER = /^SCRAM-SHA-256\$(\d+):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)$/;
const PRINTABLE_ASCII = /^[ -~]*$/;
/** What Postgres itself uses. */
const ITERATIONS = 4096;

/**
 * What Postgres stores of a password, and accepts in its place (RFC 5803; `SCRAM-SHA-256$<iterations>:<salt>$…`).
 *
 * @param salt 16 random bytes
 */
export function scramVerifier(password: string, salt: Uint8Array): string {
  // The part of SASLprep that changes what people type.
  const salted = pbkdf2Sync(password.normalize("NFKC"), salt, ITERATIONS, 32, "sha256");
  const clientKey = createHmac("sha256", salted).update("Client Key").digest();
  const storedKey = createHash("sha256").update(clientKey).digest("base64");
  const serverKey = createHmac("sha256", salted).update("Server Key").digest("base64");
  return `SCRAM-SHA-256$${ITERATIONS}:${Buffer.from(salt).toString("base64")}$${storedKey}:${serverKey}`;
}

/** Whether a verifier was made from this password; a password outside ASCII, which the server would normalise, is never told. */
export function matchesScramVerifier(password: string, verifier: string): boolean {
  const match = VERIFIER.exec(verifier);
  const iterations = Number(match?.[1]);
  if (!match || !PRINTABLE_ASCII.test(password) || !(iterations > 0 && iterations <= 100_000)) return false;
  const salted = pbkdf2Sync(password, Buffer.from(match[2] ?? "", "base64"), iterations, 32, "sha256");
  const expected = Buffer.from(match[4] ?? "", "base64");
  const serverKey = createHmac("sha256", salted).update("Server Key").digest();
  return expected.length === serverKey.length && timingSafeEqual(expected, serverKey);
}
