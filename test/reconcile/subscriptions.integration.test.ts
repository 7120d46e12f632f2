import { randomBytes } from "node:crypto";
import { appendFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { expect, test, vi } from "vitest";
import { startPostmaster } from "../../src/postgres/postmaster.ts";
import { waitUntilReady } from "../../src/postgres/readiness.ts";
import { disableInheritedSubscriptions, singleUserArguments } from "../../src/reconcile/inherited_subscriptions.ts";
import { freePort } from "../support/free_port.ts";
import { copyCluster, runAs } from "../support/postgres.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";
import { type Cluster, onEachMajor, type SpecParts } from "./cluster.ts";

const timeline = (): string => randomBytes(16).toString("hex");

const spec = (databases: readonly string[], more: SpecParts = {}): SpecParts => ({
  roles: [{ name: "subscriber" }],
  databases: databases.map((name) => ({ name, owner: "subscriber" })),
  ...more,
});

/** A subscription in `database` to a table of `publisher` in the same cluster, with its slot already made. */
async function subscribe(c: Cluster, publisher: string, database: string, name: string): Promise<void> {
  await c.query(`CREATE TABLE IF NOT EXISTS public.news (id int PRIMARY KEY)`, publisher);
  await c.query(`CREATE TABLE IF NOT EXISTS public.news (id int PRIMARY KEY)`, database);
  await c.query(
    `DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_publication WHERE pubname = 'news') THEN CREATE PUBLICATION news FOR TABLE public.news; END IF; END $$`,
    publisher,
  );
  await c.query(`SELECT pg_create_logical_replication_slot('${name}', 'pgoutput')`, publisher);
  await c.query(
    `CREATE SUBSCRIPTION ${name} CONNECTION 'host=127.0.0.1 port=${c.server.port} user=cloud_admin dbname=''${publisher}'''
     PUBLICATION news WITH (create_slot = false, slot_name = '${name}')`,
    database,
  );
}

const slots = async (c: Cluster, like: string): Promise<string[]> =>
  (
    await c.query<{ slot_name: string }>(
      `SELECT slot_name::text FROM pg_replication_slots WHERE slot_name LIKE '${like}' ORDER BY 1`,
    )
  ).map((row) => row.slot_name);

async function until(c: Cluster, condition: string, database?: string): Promise<void> {
  await vi.waitUntil(async () => (await c.value(condition, database)) === true, { timeout: 20_000, interval: 25 });
}

onEachMajor(
  "subscriptions",
  (cluster) => {
    test("reconcile.md case 29: a database with a subscription is deleted, the publisher and its slot stay", async () => {
      const c = cluster();
      await c.reconcile(spec(["pub29", "sub29"]));
      await subscribe(c, "pub29", "sub29", "s29");
      await c.reconcile(spec(["pub29"], { operations: [{ action: "delete_db", name: "sub29" }] }));
      expect(await c.query("SELECT FROM pg_database WHERE datname = 'sub29'")).toEqual([]);
      expect(await slots(c, "s29")).toEqual(["s29"]);
      expect(await c.value("SELECT 1", "pub29")).toBe(1);
    });

    test("reconcile.md case 30: a database with an active logical slot is deleted", async () => {
      const c = cluster();
      await c.reconcile(spec(["pub30", "sub30"]));
      await subscribe(c, "pub30", "sub30", "s30");
      await until(c, "SELECT active FROM pg_replication_slots WHERE slot_name = 's30'");
      await c.reconcile(spec(["sub30"], { operations: [{ action: "delete_db", name: "pub30" }] }));
      expect(await c.query("SELECT FROM pg_database WHERE datname = 'pub30'")).toEqual([]);
      expect(await slots(c, "s30")).toEqual([]);
      await c.query(
        "ALTER SUBSCRIPTION s30 DISABLE; ALTER SUBSCRIPTION s30 SET (slot_name = NONE); DROP SUBSCRIPTION s30",
        "sub30",
      );
    });

    test("reconcile.md case 51, reconcile.md case 52, reconcile.md case 53: inherited subscriptions go once per timeline", async () => {
      const c = cluster();
      await c.reconcile(spec(["pub51", "sub51"]));
      const branch = timeline();
      await subscribe(c, "pub51", "sub51", "s51");
      await c.reconcile(spec(["pub51", "sub51"], { dropSubscriptionsFor: branch }));
      const marker = "SELECT timeline_id FROM neon.drop_subscriptions_done";
      expect(await c.query("SELECT subname, subenabled, subdbid FROM pg_subscription")).toEqual([]);
      expect(await slots(c, "s51")).toEqual(["s51"]);
      expect(await c.query(marker)).toEqual([{ timeline_id: branch }]);
      // The same again, with a subscription made since.
      await subscribe(c, "pub51", "sub51", "own51");
      expect((await c.reconcile(spec(["pub51", "sub51"], { dropSubscriptionsFor: branch }))).applied).toEqual([]);
      expect(await c.value("SELECT subenabled FROM pg_subscription")).toBe(true);
      // A branch of the branch.
      const next = timeline();
      await c.reconcile(spec(["pub51", "sub51"], { dropSubscriptionsFor: next }));
      expect(await c.query("SELECT subname, subenabled, subdbid FROM pg_subscription")).toEqual([]);
      expect(await c.query(marker)).toEqual([{ timeline_id: next }]);
    });

    test("subscriptions in databases that the spec does not list are disabled, not dropped", async () => {
      const c = cluster();
      await c.reconcile(spec(["pub51b"]));
      await c.query("CREATE DATABASE unlisted51");
      await subscribe(c, "pub51b", "unlisted51", "s51b");
      await c.reconcile(spec(["pub51b"], { dropSubscriptionsFor: timeline() }));
      expect(await c.query("SELECT subname::text, subenabled FROM pg_subscription")).toEqual([
        { subname: "s51b", subenabled: false },
      ]);
      await c.query("ALTER SUBSCRIPTION s51b SET (slot_name = NONE); DROP SUBSCRIPTION s51b", "unlisted51");
    });

    test("reconcile.md case 54: five databases at once", async () => {
      const c = cluster();
      const five = [0, 1, 2, 3, 4].map((i) => `five${i}`);
      await c.reconcile(spec(["pub54", ...five]));
      for (const name of five) await subscribe(c, "pub54", name, `s54_${name}`);
      const started = performance.now();
      await c.reconcile(spec(["pub54", ...five], { dropSubscriptionsFor: timeline() }), { concurrency: 5 });
      expect(performance.now() - started).toBeLessThan(10_000);
      expect(await c.query("SELECT subname, subenabled, subdbid FROM pg_subscription")).toEqual([]);
      expect(await slots(c, "s54%")).toHaveLength(5);
    });

    test("reconcile.md case 55, reconcile.md case 80: an unfinished table synchronisation keeps its slot at the publisher and leaves no origin here", async () => {
      const c = cluster();
      await c.reconcile(spec(["pub55", "sub55"]));
      await c.query("CREATE TABLE public.news (id int PRIMARY KEY); INSERT INTO public.news VALUES (1)", "pub55");
      // The copy waits in its first row, with its slot and origin made.
      await c.query(
        `CREATE TABLE public.news (id int PRIMARY KEY);
         CREATE FUNCTION public.wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_lock(55); RETURN NEW; END';
         CREATE TRIGGER wait BEFORE INSERT ON public.news FOR EACH ROW EXECUTE FUNCTION public.wait();
         ALTER TABLE public.news ENABLE ALWAYS TRIGGER wait`,
        "sub55",
      );
      const blocker = await c.server.connect("sub55");
      await blocker.query("SELECT pg_advisory_lock(55)");
      await subscribe(c, "pub55", "sub55", "s55");
      await until(c, "SELECT count(*) > 0 FROM pg_replication_slots WHERE slot_name LIKE 'pg\\_%\\_sync\\_%'");
      await until(c, "SELECT count(*) > 1 FROM pg_replication_origin");
      const sync = await slots(c, "pg\\_%\\_sync\\_%");
      await c.reconcile(spec(["pub55", "sub55"], { dropSubscriptionsFor: timeline() }));
      expect(await c.query("SELECT subname, subenabled, subdbid FROM pg_subscription")).toEqual([]);
      expect(await slots(c, "pg\\_%\\_sync\\_%")).toEqual(sync);
      expect(await c.query("SELECT roname FROM pg_replication_origin WHERE roname ~ '^pg_[0-9]+_[0-9]+$'")).toEqual([]);
      await blocker.end();
    });

    test("reconcile.md case 55: an unreachable publisher makes nobody wait", async () => {
      const c = cluster();
      await c.reconcile(spec(["sub55b"]));
      const port = await freePort();
      await c.query("CREATE TABLE public.news (id int)", "sub55b");
      await c.query(
        `CREATE SUBSCRIPTION s55b CONNECTION 'host=127.0.0.1 port=${port} dbname=x' PUBLICATION news WITH (connect = false, slot_name = 's55b')`,
        "sub55b",
      );
      await c.query(
        "INSERT INTO pg_subscription_rel SELECT oid, 'public.news'::regclass, 'd', NULL FROM pg_subscription",
        "sub55b",
      );
      const started = performance.now();
      await c.reconcile(spec(["sub55b"], { dropSubscriptionsFor: timeline() }));
      expect(performance.now() - started).toBeLessThan(5_000);
      expect(await c.query("SELECT subname, subenabled, subdbid FROM pg_subscription")).toEqual([]);
    });

    test("without a timeline id the flag is an error of the spec", async () => {
      const c = cluster();
      const failures = await c.failures({ dropSubscriptionsFor: "" }, { objectFailures: "collect" });
      expect(failures.map(({ message }) => message)).toEqual(["timeline_id must be set"]);
    });

    test("reconcile.md case 81: before a stock server starts, inherited subscriptions are disabled, and only they", async () => {
      const server = cluster().server.installation;
      await using directory = await temporaryDirectory({ owner: runAs });
      const pgdata = join(directory.path, "pgdata");
      const port = await freePort();
      await copyCluster(server, pgdata, {
        settings: {
          listen_addresses: "127.0.0.1",
          port,
          unix_socket_directories: directory.path,
          fsync: "off",
          wal_level: "logical",
        },
      });
      const id = timeline();
      const start = async () => {
        const log: string[] = [];
        const postmaster = await startPostmaster({
          installation: server,
          pgdata,
          env: process.env,
          runAs,
          stdio: "ignore",
          onRecord: (record) => log.push(record),
        });
        await waitUntilReady(postmaster);
        return { postmaster, log };
      };
      const disable = async () =>
        await execa(server.postgres, singleUserArguments(pgdata, "postgres"), {
          input: disableInheritedSubscriptions(id),
          ...(runAs ? { uid: runAs.uid, gid: runAs.gid } : {}),
          env: { PGDATA: pgdata },
          timeout: 20_000,
        });
      const psql = async (sql: string) => {
        const { connectAsAdmin } = await import("../../src/postgres/session.ts");
        const client = await connectAsAdmin({
          connstr: `postgresql://cloud_admin@127.0.0.1:${port}/postgres`,
          applicationName: "test",
        });
        const { rows } = await client.query(sql);
        await client.end();
        return rows;
      };
      const first = await start();
      await psql(
        "CREATE SUBSCRIPTION s81 CONNECTION 'host=127.0.0.1 port=1 dbname=x' PUBLICATION p WITH (connect = false, slot_name = 's81')",
      );
      await psql("ALTER SUBSCRIPTION s81 ENABLE");
      await first.postmaster.stop("fast");
      await appendFile(join(pgdata, "postgresql.conf"), "synchronous_standby_names = 'nobody'\n");
      await disable();
      const second = await start();
      expect(await psql("SELECT subenabled FROM pg_subscription")).toEqual([{ subenabled: false }]);
      expect(second.log.filter((record) => record.includes("logical replication apply worker"))).toEqual([]);
      await psql(
        `SET synchronous_commit = local; CREATE SCHEMA neon; CREATE TABLE neon.drop_subscriptions_done (id int4 PRIMARY KEY, timeline_id text);
         INSERT INTO neon.drop_subscriptions_done VALUES (1, '${id}'); ALTER SUBSCRIPTION s81 ENABLE`,
      );
      await second.postmaster.stop("fast");
      await disable();
      const third = await start();
      expect(await psql("SELECT subenabled FROM pg_subscription")).toEqual([{ subenabled: true }]);
      await third.postmaster.stop("fast");
    });
  },
  {
    settings: {
      wal_level: "logical",
      wal_retrieve_retry_interval: "100ms",
      max_replication_slots: 30,
      max_wal_senders: 30,
      max_logical_replication_workers: 12,
      max_worker_processes: 20,
    },
  },
);
