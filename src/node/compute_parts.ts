import type { ExtensionDownloads } from "../extensions/extension_downloads.ts";
import { parseConnstr } from "../postgres/connstr.ts";
import { adminConnect } from "../reconcile/admin_session.ts";
import type { Connect } from "../reconcile/session.ts";
import type { ResolvedSpec } from "../spec/resolved_spec.ts";
import type { ComputeMetrics } from "../telemetry/compute_metrics.ts";
import type { Logger } from "../telemetry/log.ts";
import type { ComputeParts } from "./compute_node.ts";
import type { ComputeOptions } from "./compute_options.ts";
import { LocalFileCache } from "./local_file_cache.ts";
import type { Machine } from "./machine.ts";
import { OwnSessions } from "./own_sessions.ts";

export interface PartsOptions {
  readonly options: ComputeOptions;
  readonly machine: Machine;
  readonly metrics: ComputeMetrics;
  readonly spec: () => ResolvedSpec | null;
  readonly log: Logger;
  /** Ends what is under way. */
  readonly signal: AbortSignal;
}

/** What a compute's routes and jobs share. */
export interface SharedParts extends Omit<ComputeParts, "actions"> {
  /** Opens sessions that the monitor does not take for users' ones. */
  readonly connect: Connect;
  /** The same for the start of a stock server, which waits once for everything that it wrote (design.md 4). */
  readonly connectAtStart: Connect;
  readonly ownSessions: OwnSessions;
  readonly localFileCache: LocalFileCache;
  /** One for the whole process; undefined without `--remote-ext-base-url`. */
  extensionDownloads(): Promise<ExtensionDownloads | undefined>;
}

export function createParts({ options, machine, metrics, spec, log, signal }: PartsOptions): SharedParts {
  const { installation } = machine;
  const target = parseConnstr(options.connstr);
  const ownSessions = new OwnSessions();
  const server = { connstr: options.connstr, major: installation.major };
  const connect = ownSessions.wrap(adminConnect(server));
  const connectAtStart =
    installation.kind === "stock" ? ownSessions.wrap(adminConnect({ ...server, commitsLocally: true })) : connect;
  const localFileCache = new LocalFileCache({
    kind: installation.kind,
    spec,
    connect,
    database: target.database,
    metrics,
    log,
    signal,
  });
  let downloads: Promise<ExtensionDownloads> | undefined;
  return {
    connect,
    connectAtStart,
    ownSessions,
    localFileCache,
    postgres: {
      connect,
      target,
      installation,
      pgdata: options.pgdata,
      env: options.env,
      privilegedRoleName: options.privilegedRoleName,
      sessionBegan: () => ownSessions.began(),
    },
    extensionDownloads: async () => {
      const baseUrl = options.remoteExtBaseUrl;
      if (baseUrl === null) return undefined;
      downloads ??= import("../extensions/extension_downloads.ts").then(
        ({ ExtensionDownloads }) =>
          new ExtensionDownloads({
            baseUrl,
            buildTag: options.buildTag,
            arch: process.arch,
            major: installation.major,
            sharedir: installation.sharedir,
            pkglibdir: installation.pkglibdir,
            onRequest: ({ filename, httpStatus }) =>
              metrics.remoteExtensionRequests.inc({ filename, http_status: httpStatus }),
            log,
            signal,
          }),
      );
      return await downloads;
    },
  };
}
