import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { watchCertificate } from "../../src/node/certificate_watch.ts";
import { censusInterval } from "../../src/node/extension_census.ts";
import { collectingLog } from "../support/collecting_log.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";

test("a changed certificate is applied once, also after a failure, and never the first one", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "server.crt");
  await writeFile(path, "first");
  const end = new AbortController();
  const { log, lines } = collectingLog();
  let calls = 0;
  const watching = watchCertificate({
    path,
    onChange: () => (++calls === 1 ? Promise.reject(new Error("not now")) : Promise.resolve()),
    log,
    signal: end.signal,
    pollMs: 1,
    retryMs: 1,
  });
  await rm(path);
  await expect.poll(() => lines.join("\n")).toContain("could not apply certificate");
  expect(calls).toBe(0);
  await writeFile(path, "second");
  await expect.poll(() => calls).toBe(2);
  expect(lines.join("\n")).toContain("not now");
  end.abort();
  await watching;
  expect(calls).toBe(2);
});

test("the pause between two counts of extensions: what is no time is an hour", () => {
  expect([300, 0, -1, -300, 1e12].map(censusInterval)).toEqual([300, 3_600, 3_600, 3_600, 1_000_000]);
});
