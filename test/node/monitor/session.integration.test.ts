import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import pg from "pg";
import { expect, test } from "vitest";
import { judge } from "../../../src/node/monitor/activity.ts";
import { openMonitorSession } from "../../../src/node/monitor/session.ts";
import { forEachMajor, startServer } from "../../support/postgres.ts";

/** A session that is not one of ours. */
async function client(port: number, more: pg.ClientConfig & { readonly replication?: string }): Promise<pg.Client> {
  const opened = new pg.Client({ host: "127.0.0.1", port, user: "cloud_admin", database: "postgres", ...more });
  await opened.connect();
  return opened;
}

forEachMajor(
  "metrics-and-logs.md case 11, lifecycle.md case 44: what it sees of clients, in any time zone",
  async (installation) => {
    await using server = await startServer({
      installation,
      settings: { TimeZone: "Asia/Tokyo", wal_level: "logical" },
    });
    const session = await openMonitorSession(server.connstr, 5_000);
    try {
      await server.query("CREATE ROLE app LOGIN");
      await server.query("CREATE DATABASE db OWNER app");
      const first = await session.look();
      // The superuser's own sessions, ours among them, are nobody.
      expect(first).toMatchObject({ busySessions: 0, idleSince: null, walSenders: 0, subscriptions: 0 });

      const user = await client(server.port, { user: "app", database: "db" });
      const before = Date.now();
      await user.query("SELECT 1");
      const idle = await session.look();
      expect(idle.busySessions).toBe(0);
      const since = idle.idleSince?.getTime() ?? 0;
      expect(since).toBeGreaterThan(before - 5_000);
      expect(since).toBeLessThanOrEqual(Date.now());
      expect((await session.look()).idleSince).toEqual(idle.idleSince);

      await user.query("BEGIN");
      expect(await session.look()).toMatchObject({ busySessions: 1, idleSince: null });
      await user.query("COMMIT");
      await user.end();
      // Statistics of a session arrive when it ends, on 14 a little later.
      await expect
        .poll(async () => judge({ ...(await session.look()), idleSince: null }, first.statistics, null))
        .toEqual({ kind: "active_now" });
      await server.query("DROP DATABASE db");
    } finally {
      session.close();
    }
  },
);

test("lifecycle.md case 45: WAL senders count, our storage's and the walproposer's do not", async () => {
  await using server = await startServer();
  const session = await openMonitorSession(server.connstr, 5_000);
  const sender = async (name: string): Promise<number> => {
    const sending = await client(server.port, { application_name: name, replication: "true" });
    const { walSenders } = await session.look();
    await sending.end();
    // The row goes a moment after the connection.
    const count = "SELECT count(*)::int AS n FROM pg_stat_replication";
    await expect.poll(async () => (await server.query<{ n: number }>(count))[0]?.n).toBe(0);
    return walSenders;
  };
  try {
    expect(await sender("pg_receivewal")).toBe(1);
    expect(await sender("walproposer")).toBe(0);
    expect(await sender("compute_ctl_0f3a")).toBe(0);
  } finally {
    session.close();
  }
});

test("it notices that Postgres is gone, and can be dropped while Postgres hangs", async () => {
  const silent = createServer(() => undefined).listen(0, "127.0.0.1");
  await once(silent, "listening");
  const { port } = silent.address() as AddressInfo;
  await expect(openMonitorSession(`postgresql://cloud_admin@127.0.0.1:${port}/postgres`, 50)).rejects.toThrow();
  silent.close();

  const server = await startServer();
  const session = await openMonitorSession(server.connstr, 5_000);
  await server[Symbol.asyncDispose]();
  await expect.poll(() => session.closed).toBe(true);
  await expect(session.look()).rejects.toThrow();
});
