import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { readFile, rename } from "node:fs/promises";
import { basename, join } from "node:path";
import { replaceFile } from "../disk/atomic_file.ts";
import { errorCode } from "../errors/coded_error.ts";
import type { Jwk } from "../spec/compute_ctl_config.ts";
import type { RecordReader } from "./record_file.ts";
import type { StateLayout } from "./state_layout.ts";

/** The service's own Ed25519 key: computes verify with its public half who may use their external API. */
export interface SigningKey {
  readonly jwk: Jwk;
  /** A token for one compute's external API, without an end (contract: neon-local.md C6). */
  computeToken(computeId: string): Promise<string>;
}

/** Reads the key pair, making it when there is none; an unreadable one is put aside (contract: neon-local.md A4). */
export async function loadSigningKey(layout: StateLayout, reader: RecordReader): Promise<SigningKey> {
  return signingKey((await readKey(layout, reader)) ?? (await createKey(layout)));
}

async function readKey(layout: StateLayout, reader: RecordReader): Promise<KeyObject | undefined> {
  let pem: string;
  try {
    pem = await readFile(layout.privateKeyFile, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
  const key = parseKey(pem);
  if (key?.asymmetricKeyType === "ed25519") return key;
  const aside = join(reader.brokenDir, `${reader.now()}-${basename(layout.privateKeyFile)}`);
  await rename(layout.privateKeyFile, aside);
  reader.report(`${layout.privateKeyFile} is no Ed25519 key; it was moved to ${aside} and a new one is made`);
  return undefined;
}

function parseKey(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem);
  } catch {
    // What is wrong with a key must not reach a log: the message may quote it.
    return undefined;
  }
}

async function createKey(layout: StateLayout): Promise<KeyObject> {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  await replaceFile(layout.publicKeyFile, publicKey.export({ type: "spki", format: "pem" }), { mode: 0o644 });
  await replaceFile(layout.privateKeyFile, privateKey.export({ type: "pkcs8", format: "pem" }));
  return privateKey;
}

function signingKey(privateKey: KeyObject): SigningKey {
  const { x = "" } = createPublicKey(privateKey).export({ format: "jwk" });
  const kid = createHash("sha256").update(Buffer.from(x, "base64url")).digest("base64url");
  return {
    jwk: { use: "sig", key_ops: ["verify"], alg: "EdDSA", kid, kty: "OKP", crv: "Ed25519", x },
    async computeToken(computeId) {
      const { SignJWT } = await import("jose");
      // The same claims and no key id, as neon_local sends them.
      const claims = { compute_id: computeId, scope: null, aud: null } as unknown as Record<string, string>;
      return await new SignJWT(claims).setProtectedHeader({ typ: "JWT", alg: "EdDSA" }).sign(privateKey);
    },
  };
}
