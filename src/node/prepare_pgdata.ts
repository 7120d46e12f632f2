import { setTimeout as delay } from "node:timers/promises";
import { type FetchedBaseBackup, fetchBaseBackup } from "../basebackup/fetch_base_backup.ts";
import { dialPageserver, type PageserverConnection } from "../basebackup/pageserver_connection.ts";
import { withBaseBackupRetries } from "../basebackup/with_retries.ts";
import { updatePgHba, updatePgIdent } from "../pgdata/auth_files.ts";
import { writePostgresqlConf } from "../pgdata/conf_file.ts";
import { claimDirectory, removeStale } from "../pgdata/data_directory.ts";
import { copyDatabricksTls } from "../pgdata/databricks_tls.ts";
import { linkSharedMemory } from "../pgdata/dynshmem.ts";
import { readProcess } from "../pgdata/read_process.ts";
import { ensureNeonSignal, ensureStandbySignal } from "../pgdata/signal_files.ts";
import { type TlsPair, waitForTlsPair, writeTlsPair } from "../pgdata/tls_files.ts";
import { stopLeftover } from "../postgres/leftover.ts";
import { baseBackupEndpoint } from "../spec/connection.ts";
import { hasFeature } from "../spec/schema.ts";
import type { Logger } from "../telemetry/log.ts";
import { display } from "../telemetry/log_line.ts";
import { formatLsn, INVALID_LSN, type Lsn } from "../wire/lsn.ts";
import { acceptedConf } from "./accepted_conf.ts";
import { refuseUnsavedWal } from "./kept_wal.ts";
import { renderConf } from "./render_conf.ts";
import type { StartContext } from "./start_compute.ts";

/**
 * Makes PGDATA ready for Postgres: directory, configuration, LSN, base backup, authentication and signal files (contract:
 * lifecycle.md 7, 8; postgres-config.md 1.2). What can run beside something else does: the connection to the pageserver is
 * made while the safekeepers are asked, the configuration is tried out while the backup streams.
 *
 * @returns the text of `postgresql.conf`
 */
export async function preparePgdata(context: StartContext & { readonly log: Logger }): Promise<string> {
  const { options, machine, resolved, log } = context;
  const { pgdata } = options;
  const owner = machine.runAs;
  const stop = new AbortController();
  const signal = AbortSignal.any([context.signal, stop.signal]);
  const connection = dialEarly(context, signal);
  try {
    const claim = Promise.withResolvers<void>();
    const conf = claimAndConfigure(context, claim.promise);
    if (context.driver.claimsEarly) claim.resolve();
    const lsn = await chooseLsn(context, conf.written, signal);
    claim.resolve();
    await conf.written;
    const [, text, pair] = await Promise.all([
      getBaseBackup(context, lsn, connection, signal),
      conf.accepted,
      tlsPair(context, signal),
    ]);
    const ready = context.driver.dataReady();
    // Awaited below, but it may fail earlier.
    ready.catch(() => undefined);
    if (await ensureNeonSignal(pgdata, owner)) log.info("copied zenith.signal to neon.signal");
    if (pair !== undefined) await writeTlsPair(pgdata, pair, owner);
    await writeAuthFiles(context);
    if (machine.fileBackedSharedMemory) await linkSharedMemory(pgdata, owner);
    if (resolved.spec.mode.kind !== "primary") await ensureStandbySignal(pgdata, owner);
    await ready;
    return text;
  } catch (error) {
    stop.abort(error);
    throw error;
  } finally {
    // Not used, or used and closed by then.
    void connection.then(
      (open) => open.close(),
      () => undefined,
    );
  }
}

/** The two moments of the configuration: on disk as rendered, and accepted by the server in its final form. */
function claimAndConfigure(
  context: StartContext,
  mayClaim: Promise<void>,
): { written: Promise<void>; accepted: Promise<string> } {
  const { options, machine, resolved, log } = context;
  const { spec } = resolved;
  const disableSubscribers = spec.drop_subscriptions_before_start && !spec.skip_pg_catalog_updates;
  const conf = renderConf(resolved, options, machine, context.tls !== null, disableSubscribers);
  for (const warning of conf.warnings) log.warn(warning);
  const written = (async () => {
    await mayClaim;
    await refuseUnsavedWal(options.pgdata);
    await stopLeftover(options.pgdata, { log: (message) => log.warn(message) });
    await claimDirectory(options.pgdata, { owner: machine.runAs, home: options.env.HOME, readProcess });
    await writePostgresqlConf(options.pgdata, conf.text, machine.runAs);
  })();
  const accepted = written.then(async () => {
    const judged = await acceptedConf(conf.text, options, machine);
    for (const warning of judged.warnings) log.warn(warning);
    if (judged.text !== conf.text) await writePostgresqlConf(options.pgdata, judged.text, machine.runAs);
    return judged.text;
  });
  // The caller awaits both, but later than they may fail.
  written.catch(() => undefined);
  accepted.catch(() => undefined);
  return { written, accepted };
}

async function chooseLsn(context: StartContext, written: Promise<void>, signal: AbortSignal): Promise<Lsn> {
  const { mode } = context.resolved.spec;
  if (mode.kind === "static") return mode.lsn;
  if (mode.kind === "replica") return INVALID_LSN;
  return await context.stages.run(
    context.log,
    "sync_safekeepers",
    () => context.driver.chooseLsn(written, signal),
    {},
    1,
  );
}

/** Connects before the LSN is known. A failure counts as the first failed try. */
function dialEarly(context: StartContext, signal: AbortSignal): Promise<PageserverConnection> {
  const dialled = dial(context, signal);
  dialled.catch(() => undefined);
  return dialled;
}

async function dial({ resolved, log }: StartContext, signal: AbortSignal): Promise<PageserverConnection> {
  const { spec, tenantId, timelineId } = resolved;
  const endpoint = baseBackupEndpoint(resolved);
  if (endpoint.fellBack)
    log.warn(`the preferred protocol has no URL for shard ${endpoint.shardIndex}, using ${endpoint.protocol} instead`);
  const token = spec.storage_auth_token ?? undefined;
  return await dialPageserver({ endpoint, tenantId, timelineId, mode: spec.mode.kind, token, signal });
}

async function getBaseBackup(
  context: StartContext,
  lsn: Lsn,
  early: Promise<PageserverConnection>,
  signal: AbortSignal,
): Promise<void> {
  const { options, machine, startup, stages } = context;
  const { pgdata } = options;
  const fields = { lsn: display(formatLsn(lsn)) };
  await stages.run(
    context.log,
    "get_basebackup",
    async (log) => {
      let first: Promise<PageserverConnection> | undefined = early;
      const attempt = async (): Promise<FetchedBaseBackup> => {
        const connection = first ?? dial(context, signal);
        first = undefined;
        return await fetchBaseBackup({
          dial: () => connection,
          lsn,
          unpack: {
            pgdata,
            owner: machine.runAs,
            beforeControlFile: (paths) => removeStale(pgdata, new Set([...paths, ...WRITTEN_BY_US])),
          },
        });
      };
      const fetched = await withBaseBackupRetries(attempt, {
        lsn,
        retries: options.baseBackupRetries,
        // The unpacker left nothing that could be started, and the next try overwrites the rest.
        wipe: () => Promise.resolve(),
        warn: (text) => log.warn(text),
        sleep: (milliseconds, until) => delay(milliseconds, undefined, { signal: until }),
        signal,
      });
      startup.pageserver_connect_micros = fetched.connectMicros;
      startup.basebackup_ms = fetched.totalMs;
      startup.basebackup_bytes = fetched.compressedBytes;
    },
    fields,
    1,
  );
}

/** In PGDATA before or while the base backup arrives, and not part of it. */
const WRITTEN_BY_US: readonly string[] = ["postgresql.conf", "postgresql.conf.new"];

async function tlsPair({ tls, resolved, log }: StartContext, signal: AbortSignal): Promise<TlsPair | undefined> {
  if (tls === null) return undefined;
  const pair = await waitForTlsPair(tls.cert_path, tls.key_path, {
    clock: { now: () => performance.now(), sleep: (ms, until) => delay(ms, undefined, until ? { signal: until } : {}) },
    signal,
    onRetry: (error) => log.warn(`could not read cert file ${tls.cert_path}`, { reason: error.message }),
  });
  return hasFeature(resolved.spec, "tls_experimental") ? pair : undefined;
}

async function writeAuthFiles({ options, machine, resolved, log }: StartContext): Promise<void> {
  const databricks = resolved.spec.databricks_settings;
  if (databricks !== null) {
    const { cert_file: certFile, key_file: keyFile } = databricks.pg_compute_tls_settings;
    await copyDatabricksTls(options.pgdata, { certFile, keyFile }, machine.runAs);
    await updatePgIdent(options.pgdata, databricks.databricks_pg_ident);
  }
  const changed = await updatePgHba(options.pgdata, databricks?.databricks_pg_hba ?? null);
  log.info(changed ? "updated pg_hba.conf to allow external connections" : "pg_hba.conf is up-to-date");
}
