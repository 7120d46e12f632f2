import { CodedError, errorChain } from "../errors/coded_error.ts";
import type { ComputeOptions, ConfigSource, Durability, WhenFenced } from "../node/compute_options.ts";
import { parseComputeCtlArguments } from "./compute_ctl_arguments.ts";
import type { ComputeCtlFlags } from "./compute_ctl_flags.ts";
import { buildTag, packageVersion } from "./version.ts";

/**
 * The program `compute_ctl`: command line in, exit code out (contract: lifecycle.md 1.4).
 *
 * @param argv the words behind the program's name
 */
export async function computeCtl(argv: readonly string[]): Promise<number> {
  const out = (text: string): void => void process.stdout.write(text);
  const err = (text: string): void => void process.stderr.write(text);
  const command = parseComputeCtlArguments(argv, { out, err });
  try {
    switch (command.kind) {
      case "exit":
        return command.code;
      case "validate": {
        const { validateFile } = await import("./validate.ts");
        const { ok, text } = await validateFile(command.file);
        (ok ? out : err)(`${text}\n`);
        return ok ? 0 : 1;
      }
      case "postgres-path": {
        const { postgresPath } = await import("../postgres/locate.ts");
        out(`${await postgresPath(command.major, { pgBin: command.pgbin, env: process.env })}\n`);
        return 0;
      }
      case "plan": {
        const { planFor } = await import("./plan.ts");
        out(await planFor(command.request));
        return 0;
      }
      case "run": {
        const { runComputeNode } = await import("../node/run.ts");
        return await runComputeNode(computeOptions(command.flags, process.env), command.warnings);
      }
    }
  } catch (error) {
    err(`Error: ${errorChain(error)}\n`);
    return error instanceof CodedError ? error.exitCode : 1;
  }
}

function computeOptions(flags: ComputeCtlFlags, env: NodeJS.ProcessEnv): ComputeOptions {
  // The original reads --http-port only in lakebase mode and ignores it elsewhere.
  const external = flags.lakebaseMode ? (flags.httpPort ?? flags.externalHttpPort) : flags.externalHttpPort;
  const internal = flags.lakebaseMode && flags.httpPort !== undefined ? flags.httpPort + 1 : flags.internalHttpPort;
  return {
    computeId: flags.computeId,
    pgbin: flags.pgbin,
    pgdata: flags.pgdata,
    connstr: flags.connstr,
    configSource: configSource(flags),
    externalHttpPort: external,
    internalHttpPort: internal,
    internalHttpAddr: flags.internalHttpAddr ?? null,
    remoteExtBaseUrl: flags.remoteExtBaseUrl ?? null,
    privilegedRoleName: flags.privilegedRoleName,
    cgroup: flags.cgroup,
    installedExtensionsInterval: flags.installedExtensionsCollectionInterval,
    resizeSwapOnBind: flags.resizeSwapOnBind,
    diskQuotaMount: flags.setDiskQuotaForFs ?? null,
    dev: flags.dev,
    lakebaseMode: flags.lakebaseMode,
    version: packageVersion(),
    buildTag: buildTag(env),
    env,
    readyTimeoutMs: seconds(env, "COMPUTE_CTL_READY_TIMEOUT", 60) * 1000,
    initTimeoutMs: flags.lakebaseMode ? (flags.pgInitTimeout ?? 60) * 1000 : null,
    stopTimeoutMs: seconds(env, "COMPUTE_CTL_STOP_TIMEOUT", 8) * 1000,
    baseBackupRetries: wholeNumber(env, "NEON_COMPUTE_TESTING_BASEBACKUP_RETRIES", 10),
    postgresUser: env.COMPUTE_CTL_POSTGRES_USER ?? null,
    durability: durability(env.COMPUTE_CTL_DURABILITY ?? "sync"),
    whenFenced: whenFenced(env.COMPUTE_CTL_WHEN_FENCED ?? "exit"),
  };
}

function configSource(flags: ComputeCtlFlags): ConfigSource {
  if (flags.config !== undefined) return { kind: "file", path: flags.config };
  if (flags.controlPlaneUri !== undefined) return { kind: "control_plane", uri: flags.controlPlaneUri };
  if (flags.spec !== undefined) return { kind: "inline", json: flags.spec };
  throw new CodedError("usage", "one of --config and --control-plane-uri is required", { exitCode: 2 });
}

function durability(value: string): Durability {
  if (value === "sync" || value === "async") return value;
  throw new CodedError("usage", `COMPUTE_CTL_DURABILITY=${value} is neither sync nor async`, { exitCode: 2 });
}

function whenFenced(value: string): WhenFenced {
  if (value === "exit" || value === "wait") return value;
  throw new CodedError("usage", `COMPUTE_CTL_WHEN_FENCED=${value} is neither exit nor wait`, { exitCode: 2 });
}

function seconds(env: NodeJS.ProcessEnv, name: string, fallback: number): number {
  const text = env[name];
  if (text === undefined) return fallback;
  if (!/^\d{1,7}(\.\d+)?$/.test(text))
    throw new CodedError("usage", `${name}=${text} is not a number of seconds`, { exitCode: 2 });
  return Number(text);
}

function wholeNumber(env: NodeJS.ProcessEnv, name: string, fallback: number): number {
  const text = env[name];
  if (text === undefined) return fallback;
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535)
    throw new CodedError("usage", `${name}=${text} is not a whole number from 0 to 65535`, { exitCode: 2 });
  return Number(text);
}
