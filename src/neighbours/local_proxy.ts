import { errorChain, errorCode } from "../errors/coded_error.ts";
import type { TlsConfig } from "../spec/compute_ctl_config.ts";
import type { LocalProxyConfig } from "../spec/neighbours.ts";
import type { Logger } from "../telemetry/log.ts";
import { type DaemonSearch, findDaemon, type ReadProcess, signalProcess } from "./pid_file.ts";
import { replaceOrOverwrite } from "./replace_or_overwrite.ts";

/**
 * local_proxy's `config.json` (contract: postgres-config.md 13). A null `jwks` or `tls` is left out, a null `jwt_audience`
 * is written.
 *
 * @param tls compute_ctl's own TLS paths while TLS is on; the spec's are never used
 */
export function renderLocalProxyConfig(config: LocalProxyConfig, tls: TlsConfig | null): string {
  const { jwks } = config;
  const json = {
    jwks: jwks?.map(({ id, role_names, jwks_url, provider_name, jwt_audience }) => ({
      id,
      role_names,
      jwks_url,
      provider_name,
      jwt_audience,
    })),
    tls: tls === null ? undefined : { key_path: tls.key_path, cert_path: tls.cert_path },
  };
  return JSON.stringify(json, null, 2);
}

export interface LocalProxyFiles {
  /** `/etc/local_proxy/config.json` unless told. */
  readonly configFile?: string;
  /** `/etc/local_proxy/pid` unless told. */
  readonly pidFile?: string;
  readonly readProcess: ReadProcess;
  readonly log: Logger;
}

export interface LocalProxyConfiguration extends LocalProxyFiles {
  readonly config: LocalProxyConfig;
  readonly tls: TlsConfig | null;
}

/**
 * Writes the configuration and has a running local_proxy read it. One that does not run reads it when it starts. Without
 * the directory there is no local_proxy on this machine: one warning, nothing else.
 *
 * @throws the file system's error, or that of the signal
 */
export async function configureLocalProxy(configuration: LocalProxyConfiguration): Promise<void> {
  const { config, tls, configFile = "/etc/local_proxy/config.json", log } = configuration;
  try {
    await replaceOrOverwrite(configFile, renderLocalProxyConfig(config, tls));
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
    log.warn(`local_proxy is not configured: there is no directory for ${configFile}`);
    return;
  }
  const pid = await findDaemon(search(configuration));
  if (pid !== undefined && signalProcess(pid, "SIGHUP")) log.info("told local_proxy to read its configuration again");
}

/**
 * SIGTERM to local_proxy, which then serves its open connections to their end (contract: lifecycle.md 16.1). Never
 * rejects.
 *
 * @returns whether one was signalled
 */
export async function terminateLocalProxy(files: LocalProxyFiles): Promise<boolean> {
  try {
    const pid = await findDaemon(search(files));
    return pid !== undefined && signalProcess(pid, "SIGTERM");
  } catch (error) {
    files.log.warn(`could not terminate local_proxy: ${errorChain(error)}`);
    return false;
  }
}

function search({ pidFile = "/etc/local_proxy/pid", readProcess }: LocalProxyFiles): DaemonSearch {
  return { pidFile, name: "local_proxy", locksPidFile: true, readProcess };
}
