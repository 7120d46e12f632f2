import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { initdb } from "../../src/postgres/tools.ts";
import { forEachMajor, installation, runAs } from "../support/postgres.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";

const env = { ...process.env, LANG: "xx_YY.UTF-8", LC_ALL: "xx_YY.UTF-8" };

forEachMajor("makes a UTF-8 directory whatever LANG says, without checksums, trusting nobody", async (server) => {
  await using directory = await temporaryDirectory({ owner: runAs });
  const pgdata = join(directory.path, "pgdata");
  await initdb({ installation: server, directory: pgdata, env, runAs, durable: false });
  expect(await readFile(join(pgdata, "PG_VERSION"), "utf8")).toBe(`${server.major}\n`);
  const control = await readFile(join(pgdata, "global", "pg_control"));
  expect(control.length).toBe(8192);
  expect(await readFile(join(pgdata, "pg_hba.conf"), "utf8")).not.toMatch(/^[^#].*trust/m);
  expect(await readFile(join(pgdata, "postgresql.conf"), "utf8")).toMatch(/^lc_messages = '?C/m);
});

test("falls back to the C locale where C.UTF-8 is missing, and then gives initdb's own words", async () => {
  await using directory = await temporaryDirectory({ owner: runAs });
  const script = (body: string) => writeFile(join(directory.path, "initdb"), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  const server = { ...installation(), binDir: directory.path };
  const run = () => initdb({ installation: server, directory: join(directory.path, "pgdata"), env, runAs });
  const log = join(directory.path, "log");
  await script(`echo "$LC_ALL $LANG $*" >> ${log}; case "$*" in *--no-locale*) exit 0;; esac; exit 1`);
  await run();
  const [first = "", second = ""] = (await readFile(log, "utf8")).split("\n");
  expect(first).toMatch(/^C\.UTF-8 C\.UTF-8 .*--username=cloud_admin --encoding=UTF8 .*--locale=C\.UTF-8$/);
  expect(second).toMatch(/^C C .*--encoding=UTF8 .*--no-locale$/);
  await script("echo 'no room' >&2; exit 1");
  await expect(run()).rejects.toMatchObject({ code: "initdb_failed", message: "initdb exited with status 1: no room" });
});
