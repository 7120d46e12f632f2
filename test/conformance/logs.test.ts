import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Compute } from "../support/compute_ctl.ts";
import { runOn, startOn } from "../support/compute_on.ts";
import { scriptedPostgres } from "../support/scripted_postgres.ts";
import { useStore } from "../support/store.ts";

const store = useStore();
const OURS = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z (ERROR| WARN| INFO|DEBUG|TRACE) /;
const BREAK = "\u200b";
/** Their text is logged, and it has several lines. */
const NO_MIGRATIONS = { skip_pg_catalog_updates: true };

/** Whole lines only: the last may still be on its way. */
function lines(compute: Compute): string[] {
  return compute.output.split("\n").slice(0, -1);
}

describe.concurrent("our own log", () => {
  test.each<[string | undefined, string[], string[]]>([
    [undefined, ["INFO"], ["DEBUG", "TRACE"]],
    ["debug", ["INFO", "DEBUG"], ["TRACE"]],
    ["warn", [], ["INFO", "DEBUG", "TRACE"]],
    ["compute_ctl=error,hyper=trace", [], ["INFO", " WARN", "DEBUG", "TRACE"]],
  ])("metrics-and-logs.md case 20: RUST_LOG=%s", async (level, shown, hidden) => {
    await using compute = await runOn(await store().timeline(), { env: { RUST_LOG: level }, more: NO_MIGRATIONS });
    await compute.stop();
    const own = lines(compute).filter((line) => !line.startsWith("PG:"));
    for (const line of own) expect(line).toMatch(OURS);
    const levels = new Set(own.map((line) => OURS.exec(line)?.[1]?.trim()));
    for (const name of shown) expect(levels).toContain(name);
    for (const name of hidden) expect(levels).not.toContain(name.trim());
    expect(lines(compute).some((line) => line.startsWith("PG:"))).toBe(true);
  });

  test("metrics-and-logs.md case 24: no secret at any level", async () => {
    const secrets = {
      storage: "storage-token-4711",
      plane: "plane-token-4712",
      password: "password-4713",
      bouncer: "bouncer-password-4714",
      url: "url-password-4715",
    };
    const storage = await store().timeline();
    const libpq_url = (storage.pageserver.libpq_url ?? "").replace("no_user@", `no_user:${secrets.url}@`);
    const env = {
      RUST_LOG: "trace",
      NEON_CONTROL_PLANE_TOKEN: secrets.plane,
      PGBOUNCER_PASSWORD: secrets.bouncer,
    };
    const verifier = "SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVkLWtleS00NzE2:c2VydmVyLWtleS00NzE3";
    const more = { storage_auth_token: secrets.storage };
    await using compute = await runOn({ ...storage, pageserver: { libpq_url } }, { env, more });
    const token = await compute.token();
    await compute.query("SELECT 1");
    await compute.metrics();
    const cluster = {
      roles: [{ name: "someone", encrypted_password: verifier, options: null }],
      databases: [],
      settings: null,
    };
    // Refused, so that its text is quoted where it would be.
    await compute.configure({ ...more, cluster, format_version: "x" });
    await compute.request("/status", { headers: { authorization: `Bearer ${token}x` } });
    await compute.stop();
    // A start that fails tells more than one that works.
    await using failing = await startOn(
      { ...storage, pageserver: { libpq_url: `postgresql://no_user:${secrets.url}@127.0.0.1:9/` } },
      { env: { ...env, NEON_COMPUTE_TESTING_BASEBACKUP_RETRIES: "0" }, more: { ...more, mode: "Replica" } },
    );
    const error = await failing.failure();
    await failing.stop();
    for (const text of [compute.output, failing.output, error]) {
      for (const secret of [...Object.values(secrets), verifier, token, await failing.token()])
        expect(text).not.toContain(secret);
      expect(text).not.toMatch(/eyJ[\w-]+\.[\w-]+\.[\w-]+/);
    }
  });
});

describe.concurrent("Postgres' log", () => {
  test("lifecycle.md case 38, metrics-and-logs.md case 21: an error of several lines is one line, the next record another", async () => {
    await using compute = await runOn(await store().timeline(), { more: NO_MIGRATIONS });
    const session = await compute.connect();
    await expect(session.query("SELECT one,\n two,\n three -- first")).rejects.toMatchObject({ code: "42703" });
    await expect(session.query("SELECT second")).rejects.toMatchObject({ code: "42703" });
    await session.query("DO $$ BEGIN RAISE WARNING 'third' USING DETAIL = 'why', HINT = E'a\\nb'; END $$");
    await session.end();
    await compute.says("STATEMENT:  SELECT second");
    await compute.says("third");
    const statement = lines(compute).filter((line) => line.includes("STATEMENT:  SELECT one,"));
    expect(statement).toHaveLength(1);
    expect(statement[0]).toMatch(/^PG:\d{4}-/);
    expect(statement[0]?.split(BREAK)).toHaveLength(3);
    expect(statement[0]).toMatch(new RegExp(`SELECT one,${BREAK}\\s+two,${BREAK}\\s+three -- first$`));
    expect(lines(compute).filter((line) => /ERROR: .*column "(one|second)" does not exist/.test(line))).toHaveLength(2);
    for (const line of lines(compute)) expect(line).toMatch(/^PG:|^\d{4}-\d\d-\d\dT/);
  });

  test("lifecycle.md case 38, metrics-and-logs.md case 23: bytes that are no UTF-8 become U+FFFD, and later lines come", async () => {
    await using compute = await runOn(await store().timeline());
    await compute.query("CREATE DATABASE bytes TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'");
    const session = await compute.connect({ database: "bytes" });
    await session.query("SET client_encoding = 'SQL_ASCII'");
    await session.query("DO $$ BEGIN RAISE LOG '%', E'caf\\xe9 noir'; END $$");
    await session.query("DO $$ BEGIN RAISE LOG 'after it'; END $$");
    await session.end();
    await compute.says("after it");
    expect(lines(compute).filter((line) => line.startsWith("PG:") && line.includes("caf\ufffd noir"))).toHaveLength(1);
    expect(await compute.query("SELECT 1")).toBe(1);
  });

  test("metrics-and-logs.md case 22: killed while it writes: the broken line comes all the same, and we end", async () => {
    const partial = "2025-01-01 00:00:00.000 GMT [1] LOG:  half of a rec";
    const start = `(while [ ! -e $dir/now ]; do sleep 0.05; done; printf '${partial}' >&2; kill -9 $$) &`;
    await using scripted = await scriptedPostgres({ start });
    await using compute = await runOn(await store().timeline(), { pgbin: scripted.pgbin });
    await writeFile(join(scripted.directory, "now"), "");
    expect(await compute.exited).toEqual({ code: 1, signal: null });
    // A session that ends writes behind it.
    expect(lines(compute).filter((line) => line.startsWith(`PG:${partial}`))).toHaveLength(1);
  });
});
