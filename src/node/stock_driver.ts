import { randomBytes } from "node:crypto";
import type { Worker } from "node:worker_threads";
import { CodedError } from "../errors/coded_error.ts";
import { forgetUnsavedWal, writeUnsavedWal } from "../pgdata/unsaved_wal.ts";
import { parseConnstr } from "../postgres/connstr.ts";
import { readPostmasterPid } from "../postgres/postmaster_pid.ts";
import type { ResolvedSpec } from "../spec/resolved_spec.ts";
import type { Logger } from "../telemetry/log.ts";
import type { StartupMetrics } from "../telemetry/startup_metrics.ts";
import type { SessionTarget } from "../walproposer/driver/copy_both_session.ts";
import type { ProposerStatus } from "../walproposer/driver/proposer_driver.ts";
import type { Elected, WalProposer } from "../walproposer/driver/walproposer.ts";
import { formatLsn, type Lsn } from "../wire/lsn.ts";
import type { ComputeOptions } from "./compute_options.ts";
import { endedCleanly, saveKeptWal } from "./kept_wal.ts";
import type { Machine } from "./machine.ts";
import type { ServerDriver } from "./server_driver.ts";
import { stockPrimaryArguments } from "./stock_arguments.ts";

/** The code of the error that says that another compute took over. */
export const FENCED = "fenced";

/** How long a start may look for a quorum before `/status` says what it waits for. */
const PATIENCE_MS = 1000;
/** How long storage may take for the last WAL of a server that is gone. */
const FINISH_MS = 60_000;

export interface StockDriverOptions {
  readonly options: ComputeOptions;
  readonly machine: Machine;
  readonly resolved: ResolvedSpec;
  readonly startup: StartupMetrics;
  readonly log: Logger;
  readonly onStatus: (status: ProposerStatus) => void;
  /** What a start waits for, in words; null when it goes on. */
  readonly onWaiting: (reason: string | null) => void;
  /** Commits will never return again: the server must go at once. */
  readonly onLost: (error: CodedError) => void;
}

/** A stock Postgres: its WAL reaches the safekeepers through our own proposer (design.md 4). */
export function createStockDriver(given: StockDriverOptions): ServerDriver {
  return given.resolved.spec.mode.kind === "primary" ? createPrimaryDriver(given) : SECONDARY;
}

/** Writes no WAL: nothing to elect, nothing to push. */
const SECONDARY: ServerDriver = {
  claimsEarly: true,
  postgresArguments: () => [],
  chooseLsn: () => Promise.resolve(0n),
  dataReady: () => Promise.resolve(),
  attach: () => Promise.resolve(),
  settle: () => Promise.resolve(),
  finish: () => Promise.resolve(0n),
  stop: () => Promise.resolve(),
};

function createPrimaryDriver(given: StockDriverOptions): ServerDriver {
  const { options, machine, resolved, startup, log } = given;
  const standby = `compute_ctl_${randomBytes(8).toString("hex")}`;
  let proposer: WalProposer | undefined;
  // Loads beside everything that a start does before it can ask for votes.
  const loading = import("../walproposer/driver/walproposer.ts");
  let thread: Promise<Worker> | undefined = loading.then(({ startProposerThread }) => startProposerThread());
  // Whoever needs it hears of its failure.
  thread.catch(() => undefined);
  let startLsn: Lsn = 0n;
  let term = 0n;
  let flushedAtAttach: Lsn = 0n;
  const running = (): WalProposer => {
    if (proposer === undefined) throw new CodedError("not_elected", "the WAL proposer was not started");
    return proposer;
  };

  /** Starts a proposer and waits for a quorum, however long that takes. */
  const elect = async (signal: AbortSignal): Promise<Elected> => {
    const { WalProposer } = await loading;
    const ready = await thread;
    thread = undefined;
    proposer = new WalProposer(
      {
        tenantId: resolved.tenantId,
        timelineId: resolved.timelineId,
        pgVersion: versionNumber(machine.installation.version),
        safekeepers: resolved.safekeepers,
        token: resolved.spec.storage_auth_token ?? undefined,
      },
      {
        onLog: (level, message) => log.span("walproposer")[level](message),
        onStatus: given.onStatus,
        onLost: given.onLost,
      },
      ready,
    );
    return await patiently("waiting for a quorum of", proposer.elected(signal));
  };

  /** Work that waits for storage; says so when that takes long. */
  const patiently = async <T>(what: string, work: Promise<T>): Promise<T> => {
    const waiting = setTimeout(() => {
      const reason = `${what} the safekeepers ${resolved.safekeepers.join(", ")}`;
      log.warn(reason);
      given.onWaiting(reason);
    }, PATIENCE_MS);
    try {
      return await work;
    } finally {
      clearTimeout(waiting);
      given.onWaiting(null);
    }
  };

  return {
    // Without a quorum PGDATA is not touched: it may hold the only copy of something.
    claimsEarly: false,
    postgresArguments: (conf) => stockPrimaryArguments(conf, standby, machine.installation.major, options.durability),

    async chooseLsn(_prepared, signal) {
      const began = performance.now();
      refuseSeveral(resolved.safekeepers);
      let elected = await elect(signal);
      if (await saveKeptWal({ pgdata: options.pgdata, resolved, proposer: running(), elected, log })) {
        await running().stop();
        elected = await elect(signal);
      }
      ({ startLsn, term } = elected);
      log.info(`safekeepers synced at LSN ${formatLsn(startLsn)}`, { term });
      startup.sync_safekeepers_ms = Math.round(performance.now() - began);
      return startLsn;
    },

    async dataReady() {
      const { tenantId, timelineId } = resolved;
      // Before the server writes anything that nobody waits for.
      if (options.durability === "async")
        await writeUnsavedWal(options.pgdata, { tenantId, timelineId, startLsn, terms: [term] });
      await running().openBackup(options.pgdata);
    },

    async attach(_postmaster, _signal) {
      const { user, password } = parseConnstr(options.connstr);
      const source = { target: serverTarget(options), user, password, name: standby };
      flushedAtAttach = await running().attach(startLsn, source);
    },

    async settle(lsn) {
      const until = lsn !== undefined && lsn > flushedAtAttach ? lsn : flushedAtAttach;
      await patiently(`waiting for the WAL up to ${formatLsn(until)} to reach`, running().whenCommitted(until));
    },

    async finish() {
      const ended = running().finish();
      const limit = AbortSignal.timeout(FINISH_MS);
      const late = new Promise<never>((_resolve, reject) => {
        limit.addEventListener("abort", () =>
          reject(new CodedError("finish_timeout", `the last WAL did not reach storage within ${FINISH_MS / 1000} s`)),
        );
      });
      const lsn = await Promise.race([ended, late]);
      if (options.durability === "async" && (await endedCleanly(options.pgdata, lsn)))
        await forgetUnsavedWal(options.pgdata);
      return lsn;
    },

    async stop() {
      await proposer?.stop();
      // Never used: the start ended before the election.
      await (await thread?.catch(() => undefined))?.terminate();
      thread = undefined;
    },
  };
}

/** Full backups come from one store; foreign safekeepers have no pageserver that could serve them (design.md 4). */
function refuseSeveral(safekeepers: readonly string[]): void {
  if (safekeepers.length !== 1)
    throw new CodedError(
      "several_safekeepers",
      `a stock PostgreSQL runs over exactly one neon-store, but the spec names ${safekeepers.length} safekeepers: ${safekeepers.join(", ")}`,
      { status: 400 },
    );
}

/** The server's socket where it has one; its address otherwise. */
function serverTarget(options: ComputeOptions): SessionTarget {
  const { host, port } = parseConnstr(options.connstr);
  const running = readPostmasterPid(options.pgdata);
  if (running?.socketDirectory) return { path: `${running.socketDirectory}/.s.PGSQL.${running.port}` };
  return { host, port };
}

/** `17.10` as the server itself counts: 170010. */
function versionNumber(version: string): number {
  const [major = 0, minor = 0] = version.split(".").map((part) => Number.parseInt(part, 10) || 0);
  return major * 10_000 + minor;
}
