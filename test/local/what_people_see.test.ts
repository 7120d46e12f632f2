import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { Progress } from "../../src/local/progress.ts";
import { formatSummary } from "../../src/local/summary.ts";

test("the printed block says where everything is, what it promises and how to stop", () => {
  const text = formatSummary({
    version: "17.10",
    connectionString: "postgresql://cloud_admin@127.0.0.1:55432/postgres",
    externalHttpPort: 55433,
    internalHttpPort: 55434,
    storeHttp: "127.0.0.1:9898",
    dataDir: "/d",
    logs: ["/d/a.log", "/d/logs"],
    startedInMs: 1234,
  });
  expect(text).toMatchInlineSnapshot(`
    "neon-local runs PostgreSQL 17.10 (ready in 1.2 s)
      connect  postgresql://cloud_admin@127.0.0.1:55432/postgres
      compute  http://127.0.0.1:55433 (asks for a token)
               http://127.0.0.1:55434 (this machine only)
      storage  http://127.0.0.1:9898
      data     /d
      logs     /d/a.log
               /d/logs
      keeps    every commit that returned: it is in the storage, whatever is killed
      stop     Ctrl-C, or SIGTERM to this process
    "
  `);
});

test("progress is said about slow steps only", async () => {
  const lines: string[] = [];
  const progress = new Progress((line) => lines.push(line), 20);
  expect(await progress.step("a quick step", async () => 1)).toBe(1);
  await progress.step("a slow step", async () => {
    while (lines.length === 0) await delay(5);
  });
  expect(lines).toEqual(["a slow step ..."]);
});
