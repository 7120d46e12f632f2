/**
 * 100 roles in 100 databases: the first run, the unchanged run, and one role deleted that owns something and was granted
 * something in every database. Beside it the straightforward way: the same statements, roles and databases one after the
 * other, then one session a database, whether or not it has something to do.
 *
 *     npm run bench -- reconcile [--major 17] [--count 100] [--concurrency 33] [--fsync on]
 */
import { parseArgs } from "node:util";
import { adminConnect } from "../src/reconcile/admin_session.ts";
import { forEachAtMost } from "../src/reconcile/concurrency.ts";
import { desiredState, type ReconcileSpec } from "../src/reconcile/desired.ts";
import { reconcile } from "../src/reconcile/reconcile.ts";
import { type Answer, APPLICATION_NAMES, type Connect, type Session } from "../src/reconcile/session.ts";
import { createLogger } from "../src/telemetry/log.ts";
import { doBlock, quoteIdentifier, quoteLiteral } from "../src/wire/sql_quoting.ts";
import { installation, startServer, type TestServer } from "../test/support/postgres.ts";
import { median, printTable } from "./statistics.ts";

const { values } = parseArgs({
  options: {
    major: { type: "string", default: "17" },
    count: { type: "string", default: "100" },
    concurrency: { type: "string", default: "33" },
    fsync: { type: "string", default: "on" },
  },
});
const count = Number(values.count);
const concurrency = Number(values.concurrency);
const PRIVILEGED = "neon_superuser";
const VICTIM = "victim";
const KEY = Buffer.alloc(32, 7).toString("base64");
const VERIFIER = `SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0$${KEY}:${KEY}`;

const roles = Array.from({ length: count }, (_, i) => `role_${i}`);
const databases = Array.from({ length: count }, (_, i) => ({ name: `db_${i}`, owner: `role_${i}` }));

function specOf(operations: ReconcileSpec["delta_operations"], extra: readonly string[] = []): ReconcileSpec {
  return {
    cluster: {
      cluster_id: null,
      name: null,
      state: null,
      postgresql_conf: null,
      settings: null,
      roles: [...roles, ...extra].map((name) => ({ name, encrypted_password: VERIFIER, options: null })),
      databases: databases.map((database) => ({ ...database, options: null })),
    },
    delta_operations: operations,
    drop_subscriptions_before_start: false,
    audit_log_level: "Disabled",
  };
}

const FIRST = specOf(null, [VICTIM]);
const DELETED = specOf([{ action: "delete_role", name: VICTIM, new_name: null }]);

/** Counts what passes. */
class Counter {
  connections = 0;
  messages = 0;

  of(connect: Connect): Connect {
    return async (database, name) => {
      this.connections++;
      const session = await connect(database, name);
      return {
        ...session,
        query: (sql, parameters) => {
          this.messages++;
          return session.query(sql, parameters);
        },
        script: (sql) => {
          this.messages++;
          return session.script(sql);
        },
        pipeline: (messages) => {
          this.messages += messages.length;
          return session.pipeline(messages);
        },
      };
    };
  }
}

interface Measured {
  readonly ms: number;
  readonly connections: number;
  readonly messages: number;
}

type Run = (connect: Connect, spec: ReconcileSpec) => Promise<void>;

async function measure(server: TestServer, run: Run, spec: ReconcileSpec): Promise<Measured> {
  const counter = new Counter();
  const connect = counter.of(adminConnect({ connstr: server.connstr, major: server.installation.major }));
  const started = performance.now();
  await run(connect, spec);
  return { ms: performance.now() - started, connections: counter.connections, messages: counter.messages };
}

const log = createLogger({ level: "error", write: (line) => process.stderr.write(line) });

const ours: Run = async (connect, spec) => {
  const desired = desiredState(spec, { systemDatabase: "postgres", privilegedRole: PRIVILEGED, neonServer: false });
  await reconcile({ desired, connect, concurrency, objectFailures: "abort", log });
};

/** The straightforward way (contract: reconcile.md 5, 15): everything in phases, nothing left out, nothing in parallel but databases. */
const peer: Run = async (connect, spec) => {
  const system = await connect("postgres", APPLICATION_NAMES.reconcile);
  try {
    await system.script("SET neon.forward_ddl = false");
    const known = new Set(
      (await system.query<{ name: string }>("SELECT datname::text AS name FROM pg_database")).map(({ name }) => name),
    );
    const stored = new Map(
      (
        await system.query<{ name: string; password: string | null }>(
          "SELECT rolname::text AS name, rolpassword AS password FROM pg_authid",
        )
      ).map(({ name, password }) => [name, password]),
    );
    await all(system, [
      doBlock(
        `BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '${PRIVILEGED}') THEN CREATE ROLE ${PRIVILEGED} CREATEDB CREATEROLE NOLOGIN REPLICATION BYPASSRLS IN ROLE pg_read_all_data, pg_write_all_data; END IF; END`,
      ),
    ]);
    await all(
      system,
      spec.cluster.roles
        .filter(({ name, encrypted_password }) => stored.get(name) !== encrypted_password)
        .map(
          ({ name, encrypted_password }) =>
            `CREATE ROLE ${quoteIdentifier(name)} INHERIT CREATEROLE CREATEDB BYPASSRLS REPLICATION IN ROLE ${PRIVILEGED} LOGIN PASSWORD ${quoteLiteral(encrypted_password ?? "")}`,
        ),
    );
    await all(
      system,
      spec.cluster.databases
        .filter(({ name }) => !known.has(name))
        .flatMap(({ name, owner }) => [
          `CREATE DATABASE ${quoteIdentifier(name)} OWNER ${quoteIdentifier(owner)}`,
          `GRANT ALL PRIVILEGES ON DATABASE ${quoteIdentifier(name)} TO ${PRIVILEGED}`,
        ]),
    );
    await all(system, ["CREATE SCHEMA IF NOT EXISTS neon"]);
    const deleted = (spec.delta_operations ?? []).map(({ name }) => name);
    const everywhere = [
      ...spec.cluster.databases,
      ...(deleted.length > 0 ? [{ name: "postgres", owner: "cloud_admin" }] : []),
    ];
    await forEachAtMost(concurrency, everywhere, async ({ name, owner }) => {
      const session = await connect(name, APPLICATION_NAMES.reconcile);
      try {
        await session.script("SET neon.forward_ddl = false");
        // A phase is one round trip.
        for (const role of deleted) await all(session, removal(role, owner));
        if (name !== "postgres") await all(session, schemaPermissions(owner));
      } finally {
        await session.end();
      }
    });
    await all(system, [
      "CREATE TABLE IF NOT EXISTS public.health_check (id int4 PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, updated_at timestamptz DEFAULT now())",
    ]);
    await all(
      system,
      deleted.map((name) => `DROP ROLE IF EXISTS ${quoteIdentifier(name)}`),
    );
  } finally {
    await system.end();
  }
};

async function all(session: Session, messages: readonly string[]): Promise<void> {
  const failed = (await session.pipeline(messages)).find((answer: Answer) => "error" in answer);
  if (failed && "error" in failed) throw failed.error;
}

function removal(role: string, owner: string): string[] {
  const name = quoteIdentifier(role);
  return [
    `REASSIGN OWNED BY ${name} TO ${quoteIdentifier(owner)}`,
    doBlock(`DECLARE grantor text;
BEGIN
  FOR grantor IN SELECT DISTINCT rtg.grantor FROM information_schema.role_table_grants rtg WHERE grantee = ${quoteLiteral(role)} LOOP
    EXECUTE format('SET LOCAL ROLE %I', grantor);
    EXECUTE format('REVOKE ALL PRIVILEGES ON ALL TABLES IN SCHEMA public FROM %I GRANTED BY %I', ${quoteLiteral(role)}, grantor);
  END LOOP;
END`),
    `DROP OWNED BY ${name}`,
  ];
}

function schemaPermissions(owner: string): string[] {
  return [
    doBlock(`BEGIN
  IF EXISTS (SELECT FROM pg_namespace n JOIN pg_authid a ON a.oid = n.nspowner WHERE nspname = 'public' AND rolname IN ('cloud_admin', 'zenith_admin')) THEN
    ALTER SCHEMA public OWNER TO ${quoteIdentifier(owner)};
  END IF;
END`),
    doBlock(`BEGIN
  IF EXISTS (SELECT FROM pg_namespace WHERE nspname = 'public') THEN
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO ${PRIVILEGED} WITH GRANT OPTION;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON SEQUENCES TO ${PRIVILEGED} WITH GRANT OPTION;
  END IF;
END`),
  ];
}

/** In every database the role owns a table and may read another one; and what `more` says. */
async function victimEverywhere(server: TestServer, more: string): Promise<void> {
  const connect = adminConnect({ connstr: server.connstr });
  await forEachAtMost(8, databases, async ({ name }) => {
    const session = await connect(name, "bench");
    await session.script(`DROP TABLE IF EXISTS public.owned, public.granted;
      CREATE TABLE public.owned (a int); ALTER TABLE public.owned OWNER TO ${VICTIM};
      CREATE TABLE public.granted (a int); GRANT SELECT ON public.granted TO ${VICTIM}; ${more}`);
    await session.end();
  });
}

async function bench(run: Run): Promise<Measured[]> {
  await using server = await startServer({
    installation: installation(Number(values.major)),
    settings: { fsync: values.fsync, max_connections: 100 },
  });
  const first = await measure(server, run, FIRST);
  const unchanged: Measured[] = [];
  for (let i = 0; i < 7; i++) unchanged.push(await measure(server, run, FIRST));
  await victimEverywhere(server, "");
  const deleted = await measure(server, run, DELETED);
  const session = await adminConnect({ connstr: server.connstr })("postgres", "bench");
  await session.query(`CREATE ROLE ${VICTIM} LOGIN`);
  await session.end();
  await victimEverywhere(server, `SET ROLE ${PRIVILEGED}; GRANT INSERT ON public.granted TO ${VICTIM}`);
  const deletedAgain = await measure(server, run, DELETED);
  const typical = unchanged.find(({ ms }) => ms === median(unchanged.map((each) => each.ms)));
  return [first, typical ?? first, deleted, deletedAgain];
}

const straightforward = await bench(peer);
const reconciler = await bench(ours);
const [, unchanged] = reconciler;
printTable(
  `${count} roles × ${count} databases, PostgreSQL ${values.major}, ${concurrency} at a time, fsync ${values.fsync}`,
  [
    ["", "ms", "connections", "messages", "peer ms", "peer connections", "peer messages", "times faster"],
    ...["first run", "unchanged", "one role deleted", "the same, granted by others"].map((title, i) => {
      const [a, b] = [reconciler[i], straightforward[i]];
      if (!a || !b) throw new Error("a measurement is missing");
      return [title, a.ms, `${a.connections}`, `${a.messages}`, b.ms, `${b.connections}`, `${b.messages}`, b.ms / a.ms];
    }),
  ],
);
if (unchanged && unchanged.connections !== 1) process.exitCode = 1;
