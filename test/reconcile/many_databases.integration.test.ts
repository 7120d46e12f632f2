import { expect, test } from "vitest";
import { onEachMajor } from "./cluster.ts";

const COUNT = 40;
const names = Array.from({ length: COUNT }, (_, i) => `many ${i}`);
const spec = {
  roles: [{ name: "landlord" }],
  databases: names.map((name) => ({ name, owner: "landlord" })),
};

onEachMajor("many databases", (cluster, major) => {
  test("reconcile.md case 25: nothing to do is one connection, a constant number of messages, and no WAL", async () => {
    const c = cluster();
    await c.reconcile({ ...spec, databases: spec.databases.slice(0, 1) });
    c.messages = 0;
    await c.reconcile({ ...spec, databases: spec.databases.slice(0, 1) });
    const messages = c.messages;
    const first = await c.reconcile(spec);
    expect(first.failures).toEqual([]);
    await c.query("CHECKPOINT");
    const lsn = () => c.value("SELECT pg_current_wal_insert_lsn()::text");
    const before = await lsn();
    c.opened.length = 0;
    c.messages = 0;
    const second = await c.reconcile(spec);
    expect(second.applied).toEqual([]);
    expect(c.opened).toEqual(["postgres"]);
    expect(c.messages).toBe(messages);
    expect(await lsn()).toBe(before);
  });

  test("reconcile.md case 64: one of twenty databases fails, is named, and the next run goes on", async () => {
    const c = cluster();
    await c.query("DELETE FROM neon.compute_ctl_state");
    const twenty = { ...spec, databases: spec.databases.slice(0, 20) };
    const connect: typeof c.connect = async (database, application) => {
      const session = await c.connect(database, application);
      if (database !== "many 7") return session;
      return { ...session, pipeline: (messages) => session.pipeline(messages.map(() => "SELECT 1/0")) };
    };
    const failures = await c.failures(twenty, { connect });
    expect(failures).toHaveLength(1);
    expect(failures[0]).toMatchObject({
      database: "many 7",
      object: { kind: "database", name: "many 7" },
      code: "22012",
    });
    const collected = await c.reconcile(twenty, { connect, objectFailures: "collect" });
    expect(collected.failures).toHaveLength(1);
    c.opened.length = 0;
    await c.reconcile(twenty);
    // The others were remembered by the run that carried on.
    expect(c.opened).toEqual(["postgres", "many 7"]);
    expect((await c.reconcile(twenty)).applied).toEqual([]);
  });

  test("reconcile.md case 42: a role that may connect to twelve databases, dropped fifteen times", async () => {
    const c = cluster();
    const twelve = names.slice(0, 12);
    for (let round = 0; round < 15; round++) {
      await c.query(
        `CREATE ROLE guest; ${twelve.map((name) => `GRANT CONNECT ON DATABASE "${name}" TO guest`).join("; ")}`,
      );
      for (const name of round === 0 ? twelve : twelve.slice(0, 4))
        await c.query("CREATE TABLE public.own_it (); ALTER TABLE public.own_it OWNER TO guest", name);
      await c.reconcile({ ...spec, operations: [{ action: "delete_role", name: "guest" }] }, { concurrency: 12 });
      expect(await c.query("SELECT FROM pg_roles WHERE rolname = 'guest'")).toEqual([]);
      for (const name of round === 0 ? twelve : twelve.slice(0, 4)) await c.query("DROP TABLE public.own_it", name);
    }
    expect(c.server.log.filter((record) => record.includes("concurrently updated"))).toEqual([]);
  });

  test("reconcile.md case 79: two roles with grants on the same tables in several databases", async () => {
    const c = cluster();
    for (let round = 0; round < 3; round++) {
      await c.query("CREATE ROLE twin1; CREATE ROLE twin2");
      for (const name of names.slice(0, 6))
        await c.query(
          `CREATE TABLE IF NOT EXISTS public.shared (a int); GRANT ALL ON public.shared TO neon_superuser WITH GRANT OPTION;
           GRANT SELECT ON public.shared TO twin1 WITH GRANT OPTION; SET ROLE neon_superuser;
           GRANT INSERT ON public.shared TO twin1, twin2; SET ROLE twin1; GRANT SELECT ON public.shared TO twin2`,
          name,
        );
      await c.reconcile(
        { ...spec, operations: ["twin1", "twin2"].map((name) => ({ action: "delete_role", name })) },
        { concurrency: 6 },
      );
      expect(await c.query("SELECT FROM pg_roles WHERE rolname LIKE 'twin_'")).toEqual([]);
    }
  });

  test(`an owner change of a database does not make it due for a visit (${major})`, async () => {
    const c = cluster();
    c.opened.length = 0;
    const roles = [{ name: "landlord" }, { name: "buyer" }];
    const databases = spec.databases.map((database, i) => (i === 3 ? { ...database, owner: "buyer" } : database));
    expect((await c.reconcile({ roles, databases })).applied.map(({ kind }) => kind)).toEqual([
      "create_role",
      "change_owner",
    ]);
    expect(c.opened).toEqual(["postgres"]);
  });
});
