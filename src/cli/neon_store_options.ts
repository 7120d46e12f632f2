import { chown } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { usableBy } from "../postgres/copied_binaries.ts";
import { locatePostgres } from "../postgres/locate.ts";
import type { RunAs } from "../postgres/run_as.ts";
import { initdb } from "../postgres/tools.ts";
import type { StoreServerOptions } from "../store/server.ts";
import type { RunInitdb } from "../store/templates.ts";
import type { NeonStoreFlags } from "./neon_store_flags.ts";

/** What a store is opened with, out of the command line. */
export function storeOptions(
  flags: NeonStoreFlags,
  env: NodeJS.ProcessEnv,
  runAs: RunAs | undefined,
): Omit<StoreServerOptions, "log" | "signal"> {
  return {
    dir: resolve(flags.dir),
    addresses: {
      http: flags.httpAddr,
      pageserver: flags.pageserverAddr,
      grpc: flags.grpcAddr,
      safekeeper: flags.safekeeperAddr,
    },
    authPublicKeyPath: flags.authPublicKeyPath,
    templateDir: flags.templateDir && resolve(flags.templateDir),
    shippedTemplateDir: flags.shippedTemplateDir && resolve(flags.shippedTemplateDir),
    timelines: flags.ensureTimeline,
    waitLsnTimeoutMs: flags.waitLsnTimeout * 1000,
    leaseLengthMs: flags.lsnLeaseLength * 1000,
    locate: async (major) => await usableBy(await locatePostgres({ major, pgBin: flags.pgBin, env }), runAs, { env }),
    initdb: runInitdb(env, runAs),
    initdbOptions: ["superuser=cloud_admin", "encoding=UTF8", "locale=C.UTF-8", "checksums=off"],
    now: Date.now,
  };
}

function runInitdb(env: NodeJS.ProcessEnv, runAs: RunAs | undefined): RunInitdb {
  return async ({ installation, pgdata, signal }) => {
    if (runAs) await chown(dirname(pgdata), runAs.uid, runAs.gid);
    // Nobody connects to it: authentication is written for each compute.
    await initdb({ installation, directory: pgdata, env, runAs, signal, auth: "trust", durable: false });
  };
}
