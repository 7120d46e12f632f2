import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { rename, stat, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { describe, expect, test } from "vitest";
import { selfSigned } from "../pgdata/self_signed.ts";
import { runOn, startOn } from "../support/compute_on.ts";
import { useStore } from "../support/store.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";

const store = useStore();

function certificate(): { key: string; cert: string } {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return { key: String(privateKey.export({ type: "sec1", format: "pem" })), cert: selfSigned(publicKey, privateKey) };
}

/** The certificate that Postgres shows, as PEM lines. */
async function presented(port: number): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  // SSLRequest
  socket.write(Buffer.from("0000000804d2162f", "hex"));
  const [answer] = (await once(socket, "data")) as [Buffer];
  expect(answer.toString()).toBe("S");
  const secured = connectTls({ socket, rejectUnauthorized: false });
  await once(secured, "secureConnect");
  const { raw } = secured.getPeerCertificate();
  secured.destroy();
  return raw.toString("base64");
}

const base64 = (pem: string): string => pem.replaceAll(/-----.*-----|\s/g, "");

describe.concurrent("TLS", () => {
  test("postgres-config.md case 28: Postgres waits for the files, and then shows that certificate", async () => {
    await using directory = await temporaryDirectory();
    const [key_path, cert_path] = [join(directory.path, "tls.key"), join(directory.path, "tls.crt")];
    await using compute = await startOn(await store().timeline(), {
      tls: { key_path, cert_path },
      more: { features: ["tls_experimental"] },
    });
    await compute.says("could not read cert file");
    expect((await compute.status()).status).toBe("init");
    expect(compute.output).not.toContain("PG:");
    const pair = certificate();
    await writeFile(key_path, pair.key);
    await writeFile(`${cert_path}.new`, pair.cert);
    await rename(`${cert_path}.new`, cert_path);
    await compute.reach("running");
    expect(await compute.query("SHOW ssl")).toBe("on");
    expect((await stat(join(compute.pgdata, "server.key"))).mode & 0o777).toBe(0o600);
    expect(await presented(compute.postgresPort)).toBe(base64(pair.cert));
  });

  test("postgres-config.md case 31: without the feature there is none", async () => {
    await using directory = await temporaryDirectory();
    const [key_path, cert_path] = [join(directory.path, "tls.key"), join(directory.path, "tls.crt")];
    const pair = certificate();
    await writeFile(key_path, pair.key);
    await writeFile(cert_path, pair.cert);
    await using compute = await runOn(await store().timeline(), { tls: { key_path, cert_path } });
    expect(await compute.query("SHOW ssl")).toBe("off");
  });
});
