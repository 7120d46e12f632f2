import { isIPv4, isIPv6 } from "node:net";
import { CodedError } from "../errors/coded_error.ts";

/** Where rsyslog sends to. */
export interface SyslogEndpoint {
  /** Host name or address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

/** Reads `host:port` with a host name, an IPv4 or a bracketed IPv6 address; undefined for anything else. */
export function parseSyslogEndpoint(text: string): SyslogEndpoint | undefined {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):([0-9]{1,5})$/.exec(text);
  const [, address, name, digits] = match ?? [];
  const port = Number(digits);
  if (!(port >= 1 && port <= 65_535)) return undefined;
  if (address !== undefined) return isIPv6(address) ? { host: address, port } : undefined;
  return name !== undefined && (isIPv4(name) || isHostName(name)) ? { host: name, port } : undefined;
}

/** Where audit logs go, and whether over TLS. */
export interface AuditEndpoint extends SyslogEndpoint {
  readonly tls: boolean;
}

/**
 * The target of audit logs: the TLS one is preferred (contract: postgres-config.md 9.1).
 *
 * @throws CodedError `audit_endpoint` when there is none or when it is malformed
 */
export function auditEndpoint(env: NodeJS.ProcessEnv): AuditEndpoint {
  const variable = ["AUDIT_LOGGING_TLS_ENDPOINT", "AUDIT_LOGGING_ENDPOINT"].find((name) => env[name]);
  const text = variable === undefined ? undefined : env[variable];
  if (variable === undefined || text === undefined) {
    throw new CodedError("audit_endpoint", "AUDIT_LOGGING_ENDPOINT and AUDIT_LOGGING_TLS_ENDPOINT are both empty");
  }
  const endpoint = parseSyslogEndpoint(text);
  if (endpoint === undefined)
    throw new CodedError("audit_endpoint", `${variable} must be host:port, not ${JSON.stringify(text)}`);
  return { ...endpoint, tls: variable === "AUDIT_LOGGING_TLS_ENDPOINT" };
}

/**
 * The target of Postgres' own log, `logs_export_host` of the spec (contract: postgres-config.md 9.2).
 *
 * @throws CodedError `logs_export_host` (400)
 */
export function logsExportEndpoint(text: string): SyslogEndpoint {
  const endpoint = parseSyslogEndpoint(text);
  if (endpoint !== undefined) return endpoint;
  throw new CodedError("logs_export_host", "Invalid host format for Postgres logs export", {
    status: 400,
    cause: `expected host:port, got ${JSON.stringify(text)}`,
  });
}

/** Labels of a host name; a trailing dot is fine, underscores occur in container networks. */
function isHostName(text: string): boolean {
  const name = text.endsWith(".") ? text.slice(0, -1) : text;
  const isLabel = (label: string): boolean => /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(label);
  // All digits and dots is a mistyped address.
  return name.length <= 253 && name.split(".").every(isLabel) && !/^[0-9.]+$/.test(name);
}
