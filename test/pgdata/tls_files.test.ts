import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { claimDirectory, removeStale } from "../../src/pgdata/data_directory.ts";
import {
  checkTlsPair,
  TLS_PATHS,
  type TlsPair,
  type WaitClock,
  waitForTlsPair,
  writeTlsPair,
} from "../../src/pgdata/tls_files.ts";
import { scratchDirectory } from "./scratch.ts";
import { selfSigned } from "./self_signed.ts";

type KeyFormat = "pkcs8" | "pkcs1" | "sec1";

function pairOf(keys: { publicKey: KeyObject; privateKey: KeyObject }, type: KeyFormat = "pkcs8"): TlsPair {
  return {
    certificate: selfSigned(keys.publicKey, keys.privateKey),
    key: keys.privateKey.export({ type, format: "pem" }).toString(),
  };
}

const ec = (): { publicKey: KeyObject; privateKey: KeyObject } => generateKeyPairSync("ec", { namedCurve: "P-256" });
const [first, second] = [pairOf(ec()), pairOf(ec())];

/** Time that passes only while somebody sleeps, and then at once. */
function clock(onSleep: (round: number) => Promise<void> = () => Promise.resolve()): WaitClock {
  let now = 0;
  let round = 0;
  return {
    now: () => now,
    sleep: (ms) => {
      now += ms;
      return onSleep(++round);
    },
  };
}

describe("a certificate and its key", () => {
  test("of any type belong together", () => {
    checkTlsPair(pairOf(ec(), "sec1"));
    checkTlsPair(pairOf(generateKeyPairSync("rsa", { modulusLength: 2048 }), "pkcs1"));
    checkTlsPair(pairOf(generateKeyPairSync("ed25519")));
    checkTlsPair({ ...first, certificate: first.certificate + second.certificate });
  });

  test("of different pairs, or unreadable, are refused without showing the key", () => {
    const bad: TlsPair[] = [
      { certificate: first.certificate, key: second.key },
      { certificate: second.certificate + first.certificate, key: first.key },
      { certificate: "nothing", key: first.key },
      { certificate: first.certificate, key: first.key.replace("PRIVATE", "SECRET") },
      { certificate: first.certificate, key: "" },
    ];
    for (const pair of bad) {
      expect(() => checkTlsPair(pair)).toThrow(expect.objectContaining({ code: "tls_pair_invalid" }));
    }
  });
});

describe("waiting for the files", () => {
  test("they may come one after the other", async () => {
    const directory = await scratchDirectory();
    const [certificate, key] = [join(directory, "c"), join(directory, "k")];
    const reasons: string[] = [];
    const steps = [
      () => writeFile(certificate, first.certificate),
      () => writeFile(key, second.key),
      () => writeFile(key, first.key),
    ];
    const found = await waitForTlsPair(certificate, key, {
      clock: clock((round) => steps[round - 1]?.() ?? Promise.resolve()),
      onRetry: (error) => reasons.push(error.message),
    });
    expect(found).toEqual(first);
    expect(reasons).toEqual([
      "could not read TLS certificate and key",
      "could not read TLS certificate and key",
      "TLS key does not belong to the TLS certificate",
    ]);
  });

  test("for 60 seconds, then the last reason is the cause", async () => {
    const waiting = clock();
    await expect(waitForTlsPair("/nowhere/c", "/nowhere/k", { clock: waiting })).rejects.toMatchObject({
      code: "tls_pair_invalid",
      message: expect.stringContaining("after 60 s"),
      cause: { message: "could not read TLS certificate and key" },
    });
    expect(waiting.now()).toBe(60_000);
  });

  test("until aborted", async () => {
    const abort = new AbortController();
    const waiting = waitForTlsPair("/nowhere/c", "/nowhere/k", {
      signal: abort.signal,
      clock: clock(async () => abort.abort(new Error("stopping"))),
    });
    await expect(waiting).rejects.toThrow("stopping");
  });
});

describe("the pair in PGDATA", () => {
  test("is 0600 and replaced as one", async () => {
    const pgdata = await scratchDirectory();
    for (const pair of [first, second, first, first]) {
      await writeTlsPair(pgdata, pair, undefined);
      expect(await readFile(join(pgdata, "server.crt"), "utf8")).toBe(pair.certificate);
      expect(await readFile(join(pgdata, "server.key"), "utf8")).toBe(pair.key);
      expect((await stat(join(pgdata, "server.key"))).mode & 0o777).toBe(0o600);
    }
    expect((await readdir(pgdata)).filter((name) => !TLS_PATHS.includes(name))).toEqual([]);
  });

  test("replaces plain files that a base backup brought, and outlives the removal of stale ones", async () => {
    const pgdata = await scratchDirectory();
    await claimDirectory(pgdata, { readProcess: () => Promise.resolve(undefined) });
    await writeFile(join(pgdata, "server.crt"), "old");
    await writeFile(join(pgdata, "server.key"), "old");
    await writeTlsPair(pgdata, first, undefined);
    await removeStale(pgdata, new Set(TLS_PATHS));
    expect(await readFile(join(pgdata, "server.crt"), "utf8")).toBe(first.certificate);
    expect(await readFile(join(pgdata, "server.key"), "utf8")).toBe(first.key);
  });
});
