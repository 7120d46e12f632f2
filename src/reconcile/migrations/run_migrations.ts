import { CodedError, errorChain } from "../../errors/coded_error.ts";
import type { Logger } from "../../telemetry/log.ts";
import { APPLICATION_NAMES, type Connect, type Session, withSession } from "../session.ts";
import { migrations } from "./migrations.ts";

export interface MigrationOptions {
  readonly connect: Connect;
  readonly systemDatabase: string;
  readonly privilegedRole: string;
  readonly log: Logger;
  /** Counts `compute_ctl_db_migration_failed_total{migration_id}`. */
  readonly onFailed?: (id: number) => void;
  /** Test hook: this migration fails after its SQL and before its number is set; see {@link migrationFailpoint}. */
  readonly failAt?: number;
  readonly signal?: AbortSignal;
}

/**
 * Runs the migrations that this cluster has not had, one transaction each, and stops at the first that fails; the next
 * full start goes on there (contract: reconcile.md 9). Made for the background: logs, and never rejects unless aborted.
 */
export async function runMigrations(options: MigrationOptions): Promise<void> {
  const { log } = options;
  log.info("handle migrations");
  let session: Session;
  try {
    session = await options.connect(options.systemDatabase, APPLICATION_NAMES.migrations);
  } catch (error) {
    log.error(`Failed to connect to the compute for running migrations: ${errorChain(error)}`);
    return;
  }
  try {
    await migrate(session, options);
  } catch (error) {
    options.signal?.throwIfAborted();
    log.error(`Failed to run migrations: ${errorChain(error)}`);
  } finally {
    await session.end();
  }
}

/** The number of the last migration that was applied; 0 when none was. */
export async function readMigrationId(connect: Connect, systemDatabase: string): Promise<number> {
  return await withSession(connect, systemDatabase, APPLICATION_NAMES.migrations, async (session) => {
    const [found] = await session.query<{ there: boolean }>(
      "SELECT to_regclass('neon_migration.migration_id') IS NOT NULL AS there",
    );
    return found?.there ? await currentId(session) : 0;
  });
}

/** The number N of `compute-migration=return(N)` in the environment variable `FAILPOINTS`. */
export function migrationFailpoint(failpoints: string | undefined): number | undefined {
  const match = /(?:^|;)\s*compute-migration=return\((\d+)\)/.exec(failpoints ?? "");
  return match ? Number(match[1]) : undefined;
}

async function migrate(
  session: Session,
  { privilegedRole, log, onFailed, failAt, signal }: MigrationOptions,
): Promise<void> {
  await prepare(session);
  const all = migrations(privilegedRole);
  for (let id = (await currentId(session)) + 1; id <= all.length; id++) {
    signal?.throwIfAborted();
    const migration = all[id - 1];
    if (!migration) return;
    const steps = [`UPDATE neon_migration.migration_id SET id = ${id} WHERE key = 0`];
    if ("sql" in migration) {
      log.info(`Running migration id=${id}:\n${migration.sql}\n`);
      steps.unshift(migration.sql);
      if (failAt === id) steps.splice(1, 0, "DO $x$ BEGIN RAISE EXCEPTION 'failpoint compute-migration'; END $x$");
    } else {
      log.info(`Skipping migration id=${id}`);
      if (failAt === id) steps.unshift("DO $x$ BEGIN RAISE EXCEPTION 'failpoint compute-migration'; END $x$");
    }
    try {
      // One message is one transaction: the number moves with the migration or not at all.
      await session.script(steps.join(";\n"));
    } catch (cause) {
      onFailed?.(id);
      log.error(`Failed to run migration id=${id}: ${errorChain(cause)}`);
      throw new CodedError("migration_failed", `migration ${id}`, { cause });
    }
    log.info(`Finished migration id=${id}`);
  }
}

/** Looks first: a cluster that has it all gets no statement that writes. */
async function prepare(session: Session): Promise<void> {
  const [found] = await session.query<{ table: boolean; admin: string; owner: string | null }>(
    `SELECT to_regclass('neon_migration.migration_id') IS NOT NULL AS table, current_user::text AS admin,
       (SELECT pg_get_userbyid(nspowner)::text FROM pg_namespace WHERE nspname = 'neon_migration') AS owner`,
  );
  if (found?.owner && found.owner !== found.admin)
    throw new CodedError("foreign_schema", `schema neon_migration belongs to ${found.owner}, not to ${found.admin}`);
  if (!found?.table)
    await session.script(`CREATE SCHEMA IF NOT EXISTS neon_migration;
      REVOKE ALL ON SCHEMA neon_migration FROM PUBLIC;
      CREATE TABLE IF NOT EXISTS neon_migration.migration_id (key int4 NOT NULL PRIMARY KEY, id int8 NOT NULL DEFAULT 0)`);
  await session.query(
    "INSERT INTO neon_migration.migration_id (key, id) SELECT 0, 0 WHERE NOT EXISTS (SELECT FROM neon_migration.migration_id WHERE key = 0) ON CONFLICT (key) DO NOTHING",
  );
}

async function currentId(session: Session): Promise<number> {
  const [row] = await session.query<{ id: string }>(
    "SELECT id::text AS id FROM neon_migration.migration_id WHERE key = 0",
  );
  return Number(row?.id ?? 0);
}
