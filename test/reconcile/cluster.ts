import type { QueryResultRow } from "pg";
import { afterAll, beforeAll, describe } from "vitest";
import { SUPPORTED_MAJORS } from "../../src/postgres/installation.ts";
import { adminConnect } from "../../src/reconcile/admin_session.ts";
import { type DesiredContext, desiredState, type ReconcileSpec } from "../../src/reconcile/desired.ts";
import type { Failure } from "../../src/reconcile/failure.ts";
import { type Reconciled, ReconcileFailed, type ReconcileOptions, reconcile } from "../../src/reconcile/reconcile.ts";
import type { Connect } from "../../src/reconcile/session.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import { installation, installations, startServer, type TestServer } from "../support/postgres.ts";

type Option = { name: string; value?: string | null; vartype: string };

/** The parts of a spec that a test is about. */
export interface SpecParts {
  readonly roles?: readonly { name: string; encrypted_password?: string | null; options?: readonly Option[] }[];
  readonly databases?: readonly { name: string; owner: string; options?: readonly Option[] }[];
  readonly operations?: readonly { action: string; name: string; new_name?: string }[];
  readonly operationUuid?: string;
  readonly jwksRoles?: readonly string[];
  readonly settings?: readonly Option[];
  readonly postgresqlConf?: string;
  readonly dropSubscriptionsFor?: string;
  readonly audit?: ReconcileSpec["audit_log_level"];
}

export function specOf(parts: SpecParts): ReconcileSpec {
  const option = ({ value, ...rest }: Option) => ({ ...rest, value: value ?? null });
  return {
    cluster: {
      cluster_id: null,
      name: null,
      state: null,
      postgresql_conf: parts.postgresqlConf ?? null,
      settings: parts.settings?.map(option) ?? null,
      roles: (parts.roles ?? []).map((role) => ({
        name: role.name,
        encrypted_password: role.encrypted_password ?? null,
        options: role.options?.map(option) ?? null,
      })),
      databases: (parts.databases ?? []).map((database) => ({
        name: database.name,
        owner: database.owner,
        options: database.options?.map(option) ?? null,
      })),
    },
    delta_operations:
      parts.operations?.map(({ new_name, ...rest }) => ({ ...rest, new_name: new_name ?? null })) ?? null,
    operation_uuid: parts.operationUuid ?? null,
    drop_subscriptions_before_start: parts.dropSubscriptionsFor !== undefined,
    timeline_id: parts.dropSubscriptionsFor ?? null,
    audit_log_level: parts.audit ?? "Disabled",
    local_proxy_config: parts.jwksRoles ? { jwks: [{ role_names: parts.jwksRoles }] } : null,
  };
}

export type RunOptions = Partial<Omit<ReconcileOptions, "desired">> & { readonly context?: Partial<DesiredContext> };

/** A server with what the tests of the reconciler do to it. */
export class Cluster {
  readonly server: TestServer;
  readonly major: number;
  /** Databases of the sessions that were opened, oldest first. */
  readonly opened: string[] = [];
  /** Messages that were sent. */
  messages = 0;
  readonly log: string[] = [];

  constructor(server: TestServer) {
    this.server = server;
    this.major = server.installation.major;
  }

  /** Counts sessions and messages. */
  readonly connect: Connect = async (database, applicationName) => {
    this.opened.push(database);
    const connect = adminConnect({ connstr: this.server.connstr, major: this.server.installation.major });
    const session = await connect(database, applicationName);
    return {
      ...session,
      query: (sql, values) => {
        this.messages++;
        return session.query(sql, values);
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

  readonly logger = createLogger({ level: "debug", write: (line) => this.log.push(line) });

  async reconcile(parts: SpecParts, options: RunOptions = {}): Promise<Reconciled> {
    const { context, ...rest } = options;
    return await reconcile({
      desired: desiredState(specOf(parts), {
        systemDatabase: "postgres",
        privilegedRole: "neon_superuser",
        neonServer: false,
        ...context,
      }),
      connect: this.connect,
      concurrency: 8,
      objectFailures: "abort",
      log: this.logger,
      ...rest,
    });
  }

  /** The failures of a run that is expected to fail. */
  async failures(parts: SpecParts, options: RunOptions = {}): Promise<readonly Failure[]> {
    try {
      await this.reconcile(parts, options);
    } catch (error) {
      if (error instanceof ReconcileFailed) return error.failures;
      throw error;
    }
    throw new Error("the run did not fail");
  }

  query<Row extends QueryResultRow>(sql: string, database?: string): Promise<Row[]> {
    return this.server.query<Row>(sql, database);
  }

  /** The only column of the only row. */
  async value<T>(sql: string, database?: string): Promise<T> {
    const [row] = await this.query<Record<string, T>>(sql, database);
    return Object.values(row ?? {})[0] as T;
  }

  /** Statements as another role, in one session. */
  async as(role: string, sql: string, database?: string): Promise<void> {
    await this.query(`SET ROLE "${role.replaceAll('"', '""')}"; ${sql}`, database);
  }
}

/** Defines tests against one server a major, which they share. */
export function onEachMajor(
  title: string,
  define: (cluster: () => Cluster, major: number) => void,
  options: {
    readonly majors?: readonly number[];
    readonly settings?: Readonly<Record<string, string | number>>;
    readonly lists?: readonly string[];
  } = {},
): void {
  for (const major of options.majors ?? SUPPORTED_MAJORS) {
    const there = installations().some((each) => each.major === major);
    describe.skipIf(!there)(`${title} (PostgreSQL ${major})`, () => {
      let cluster: Cluster | undefined;
      beforeAll(async () => {
        cluster = new Cluster(
          await startServer({
            installation: installation(major),
            settings: { autovacuum: "off", ...options.settings },
          }),
        );
      });
      afterAll(async () => {
        await cluster?.server[Symbol.asyncDispose]();
      });
      define(() => {
        if (!cluster) throw new Error("the server is not there yet");
        return cluster;
      }, major);
    });
  }
}
