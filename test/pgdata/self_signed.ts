import { type KeyObject, sign } from "node:crypto";

/** One DER element. */
function der(tag: number, ...parts: Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const length = body.length < 128 ? Buffer.of(body.length) : Buffer.of(0x82, body.length >> 8, body.length & 255);
  return Buffer.concat([Buffer.of(tag), length, body]);
}

const ALGORITHMS: Readonly<Record<string, string>> = {
  rsa: "300d06092a864886f70d01010b0500",
  ec: "300a06082a8648ce3d040302",
  ed25519: "300506032b6570",
};

/** A certificate for `publicKey`, signed with `privateKey`: PEM. No command line tool, no key in the repository. */
export function selfSigned(publicKey: KeyObject, privateKey: KeyObject, name = "localhost"): string {
  const algorithm = Buffer.from(ALGORITHMS[privateKey.asymmetricKeyType ?? ""] ?? "", "hex");
  const commonName = der(0x30, Buffer.from("0603550403", "hex"), der(0x0c, Buffer.from(name)));
  const subject = der(0x30, der(0x31, commonName));
  const validity = der(0x30, der(0x17, Buffer.from("250101000000Z")), der(0x17, Buffer.from("450101000000Z")));
  const spki = publicKey.export({ type: "spki", format: "der" });
  const toBeSigned = der(0x30, der(0x02, Buffer.of(1)), algorithm, subject, validity, subject, spki);
  const digest = privateKey.asymmetricKeyType === "ed25519" ? null : "sha256";
  const signature = der(0x03, Buffer.of(0), sign(digest, toBeSigned, privateKey));
  const base64 = der(0x30, toBeSigned, algorithm, signature)
    .toString("base64")
    .replaceAll(/.{64}(?!$)/g, "$&\n");
  return `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`;
}
