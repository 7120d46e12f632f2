import { readFile } from "node:fs/promises";
import { CodedError, errorCode } from "../errors/coded_error.ts";
import type { Logger } from "../telemetry/log.ts";
import { replaceOrOverwrite } from "./replace_or_overwrite.ts";
import { type AuditLogSource, renderAuditConfig, renderLogsExportConfig } from "./rsyslog_config.ts";
import { type RsyslogdRestart, restartRsyslogd } from "./rsyslogd.ts";
import { auditEndpoint, logsExportEndpoint } from "./syslog_endpoint.ts";

export interface AuditLogging extends RsyslogdRestart, AuditLogSource {
  readonly env: NodeJS.ProcessEnv;
  /** `/etc/rsyslog.d/compute_audit_rsyslog.conf` unless told. */
  readonly configFile?: string;
}

/**
 * Sends the audit logs away, at start only (contract: postgres-config.md 9.1). Whoever asks for audit logs must not get a
 * compute without them: every failure is thrown.
 *
 * @throws CodedError `audit_endpoint`, `rsyslog_config`, `rsyslogd_restart`
 */
export async function configureAuditLogging(logging: AuditLogging): Promise<void> {
  const { env, configFile = "/etc/rsyslog.d/compute_audit_rsyslog.conf" } = logging;
  const config = renderAuditConfig(logging, auditEndpoint(env));
  await write(configFile, config);
  await restartRsyslogd(logging);
}

export interface LogsExport extends RsyslogdRestart {
  /** `logs_export_host` of the spec; null changes nothing, an older file stays. */
  readonly host: string | null;
  /** `/etc/rsyslog.d/postgres_logs.conf` unless told. */
  readonly configFile?: string;
  readonly log: Logger;
}

/**
 * Sends Postgres' own log away, at start and at each reconfiguration (contract: postgres-config.md 9.2). On a machine
 * without rsyslog's directory there is nobody to do it: one warning, Postgres still logs to stderr.
 *
 * @throws CodedError `logs_export_host`, `rsyslog_config`, `rsyslogd_restart`
 */
export async function configureLogsExport(logsExport: LogsExport): Promise<void> {
  const { host, configFile = "/etc/rsyslog.d/postgres_logs.conf", log } = logsExport;
  if (host === null) return;
  const config = renderLogsExportConfig(logsExportEndpoint(host));
  if ((await current(configFile)) === config) {
    log.info("Postgres logs export is configured already");
    return;
  }
  try {
    await write(configFile, config);
  } catch (error) {
    if (!(error instanceof CodedError) || errorCode(error.cause) !== "ENOENT") throw error;
    log.warn(`the log of Postgres is not exported: there is no directory for ${configFile}`);
    return;
  }
  await restartRsyslogd(logsExport);
  log.info(`Postgres logs are exported to ${host}`);
}

async function write(path: string, content: string): Promise<void> {
  try {
    await replaceOrOverwrite(path, content);
  } catch (cause) {
    throw new CodedError("rsyslog_config", `cannot write ${path}`, { cause });
  }
}

async function current(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw new CodedError("rsyslog_config", `cannot read ${path}`, { cause: error });
  }
}
