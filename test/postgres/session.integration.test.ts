import { expect, test } from "vitest";
import { connectAsAdmin } from "../../src/postgres/session.ts";
import { freePort } from "../support/free_port.ts";
import { forEachMajor, startServer } from "../support/postgres.ts";

forEachMajor(
  "what a database owner has set does not reach our sessions; the connection string's options do",
  async (server) => {
    await using running = await startServer({ installation: server });
    const settings = [
      "role = intruder",
      "default_transaction_read_only = on",
      "search_path = trap",
      "statement_timeout = 1",
      "idle_session_timeout = 1",
      "idle_in_transaction_session_timeout = 1",
      "default_transaction_isolation = serializable",
      "local_preload_libraries = missing",
      ...(server.major >= 17 ? ["transaction_timeout = 1"] : []),
    ];
    await running.query("CREATE ROLE intruder");
    await running.query("CREATE DATABASE d");
    for (const setting of settings) await running.query(`ALTER DATABASE d SET ${setting}`);
    const connstr = running.connstr.replace(/postgres$/, `d?options=${encodeURIComponent("-c lock_timeout=1234")}`);
    const options = { connstr, applicationName: "compute_ctl:apply_config", major: server.major };
    const client = await connectAsAdmin(options);
    const show = async (name: string): Promise<unknown> =>
      (await client.query(`SELECT pg_catalog.current_setting('${name}') AS value`)).rows[0].value;
    expect(await show("role")).toBe("cloud_admin");
    expect(await show("default_transaction_read_only")).toBe("off");
    expect(await show("search_path")).toBe("");
    expect(await show("statement_timeout")).toBe("0");
    expect(await show("pgaudit.log")).toBe("none");
    expect(await show("lock_timeout")).toBe("1234ms");
    expect(await show("transaction_isolation")).toBe("read committed");
    expect(await show("application_name")).toBe("compute_ctl:apply_config");
    await client.end();
  },
);

test("a lost connection is told, not thrown", async () => {
  await using running = await startServer();
  let lost: ((error: Error) => void) | undefined;
  const telling = new Promise<Error>((resolve) => {
    lost = resolve;
  });
  const onLost = (error: Error): void => lost?.(error);
  await connectAsAdmin({ connstr: running.connstr, applicationName: "x", onLost });
  await running.postmaster.stop("immediate");
  expect((await telling).message).not.toBe("");
});

test("a failed connect names database, user and address, carries the cause and no password", async () => {
  await using running = await startServer();
  const options = { applicationName: "x" };
  const missing = running.connstr.replace("cloud_admin@", "cloud_admin:hush@").replace(/postgres$/, "missing");
  await expect(connectAsAdmin({ connstr: missing, ...options })).rejects.toMatchObject({
    code: "postgres_connect",
    message: `cannot connect to database missing as cloud_admin at 127.0.0.1:${running.port}`,
    cause: { code: "3D000" },
  });
  const closed = `postgresql://a@127.0.0.1:${await freePort()}/d`;
  await expect(connectAsAdmin({ connstr: closed, ...options })).rejects.toMatchObject({
    cause: { code: "ECONNREFUSED" },
  });
});

test("a socket directory is a host", async () => {
  await using running = await startServer();
  const connstr = `postgresql://cloud_admin@x:${running.port}/postgres?host=${encodeURIComponent(`${running.directory}/socket`)}`;
  const client = await connectAsAdmin({ connstr, applicationName: "x" });
  expect((await client.query("SELECT pg_catalog.inet_server_addr() AS address")).rows).toEqual([{ address: null }]);
  await client.end();
});
