import { stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { needsFileBackedSharedMemory, readOvercommitMemory } from "../pgdata/dynshmem.ts";
import { requireReachable } from "../postgres/access_of_user.ts";
import { usableBy } from "../postgres/copied_binaries.ts";
import { raiseCoreLimit } from "../postgres/core_limit.ts";
import { availableLibraries, inspectInstallation, type PostgresInstallation } from "../postgres/installation.ts";
import { choosePostgresUser, describeRunAs, type RunAs } from "../postgres/run_as.ts";
import type { Logger } from "../telemetry/log.ts";
import type { ComputeOptions } from "./compute_options.ts";

/** What does not change while the process lives: the server's programs, who runs them, what the system offers. */
export interface Machine {
  readonly installation: PostgresInstallation;
  /** Undefined unless we are root. */
  readonly runAs: RunAs | undefined;
  /** Names that `shared_preload_libraries` may hold. */
  readonly libraries: ReadonlySet<string>;
  readonly hasCUtf8Locale: boolean;
  readonly fileBackedSharedMemory: boolean;
}

export async function inspectMachine(options: ComputeOptions, log: Logger): Promise<Machine> {
  const { env, pgbin, pgdata, postgresUser } = options;
  const limited = raiseCoreLimit({ env, warn: (message) => log.warn(message) });
  const [inspected, runAs, hasCUtf8Locale, overcommit] = await Promise.all([
    inspectInstallation(pgbin, { env }),
    chooseUser(pgdata, postgresUser, env),
    knowsCUtf8(),
    readOvercommitMemory(),
    limited,
  ]);
  if (runAs !== undefined) {
    log.info(describeRunAs(runAs));
    await requireReachable(runAs, dirname(resolve(pgdata)), env);
  }
  const installation = await usableBy(inspected, runAs, { env });
  log.info(`Postgres ${installation.version} (${installation.kind}) at ${installation.postgres}`);
  return {
    installation,
    runAs,
    libraries: await availableLibraries(installation),
    hasCUtf8Locale,
    fileBackedSharedMemory: needsFileBackedSharedMemory(process.platform, overcommit),
  };
}

/** PGDATA may not exist yet, or be left by root: then the owner of the directory it goes into decides. */
async function chooseUser(pgdata: string, name: string | null, env: NodeJS.ProcessEnv): Promise<RunAs | undefined> {
  const uid = process.geteuid?.() ?? -1;
  const owner = await stat(pgdata).catch(() => undefined);
  const directory = owner !== undefined && owner.uid !== 0 ? pgdata : dirname(resolve(pgdata));
  return await choosePostgresUser({ uid, env, directory, ...(name === null ? {} : { name }) });
}

/** Newer C libraries have the locale built in; older ones as a directory, under either spelling. */
async function knowsCUtf8(): Promise<boolean> {
  if (process.platform !== "linux") return false;
  for (const name of ["C.utf8", "C.UTF-8"]) {
    if (
      await stat(`/usr/lib/locale/${name}`).then(
        () => true,
        () => false,
      )
    )
      return true;
  }
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  const [major = 0, minor = 0] = (header.glibcVersionRuntime ?? "").split(".").map(Number);
  return major > 2 || (major === 2 && minor >= 35);
}
