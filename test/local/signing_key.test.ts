import { createPublicKey, verify } from "node:crypto";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createAuthorize } from "../../src/http/token.ts";
import { loadSigningKey } from "../../src/local/signing_key.ts";
import { openStateDirectory } from "../../src/local/state_directory.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";

test("the key is made once, its tokens open a compute's API, and a damaged one is replaced", async () => {
  await using directory = await temporaryDirectory();
  const layout = await openStateDirectory(join(directory.path, "s"), { uid: process.geteuid?.() ?? -1, now: Date.now });
  const problems: string[] = [];
  const reader = { brokenDir: layout.brokenDir, now: () => 7, report: (line: string) => problems.push(line) };
  const key = await loadSigningKey(layout, reader);
  expect((await stat(layout.privateKeyFile)).mode & 0o777).toBe(0o600);
  expect((await loadSigningKey(layout, reader)).jwk).toEqual(key.jwk);

  const token = await key.computeToken("main");
  const [header, claims, signature] = token.split(".");
  const decoded = (part = ""): unknown => JSON.parse(Buffer.from(part, "base64url").toString());
  expect(decoded(header)).toEqual({ typ: "JWT", alg: "EdDSA" });
  expect(decoded(claims)).toEqual({ compute_id: "main", scope: null, aud: null });
  const publicKey = createPublicKey(await readFile(layout.publicKeyFile, "utf8"));
  expect(verify(null, Buffer.from(`${header}.${claims}`), publicKey, Buffer.from(signature ?? "", "base64url"))).toBe(
    true,
  );
  const log = createLogger({ level: "off", write: () => undefined });
  const authorize = createAuthorize({ keys: [key.jwk], computeId: "main", log });
  await authorize(`Bearer ${token}`);
  await expect(authorize(`Bearer ${await key.computeToken("other")}`)).rejects.toMatchObject({ status: 403 });

  await writeFile(layout.privateKeyFile, "rubbish");
  expect((await loadSigningKey(layout, reader)).jwk).not.toEqual(key.jwk);
  expect(problems).toHaveLength(1);
  expect(problems[0]).not.toContain("rubbish");
  expect(await readdir(layout.brokenDir)).toEqual(["7-auth_private_key.pem"]);
});
