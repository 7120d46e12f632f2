import { join } from "node:path";
import type { AuditEndpoint, SyslogEndpoint } from "./syslog_endpoint.ts";

export interface AuditLogSource {
  readonly pgdata: string;
  /** Empty when the spec has none. */
  readonly endpointId: string;
  readonly projectId: string;
}

/**
 * What makes rsyslogd send pgauditlogtofile's files: RFC 5424 lines whose message is JSON with `endpoint_id`, `project_id`
 * and `msg` (contract: postgres-config.md 9.1). A record may have several lines; one begins with a time in GMT.
 */
export function renderAuditConfig(source: AuditLogSource, endpoint: AuditEndpoint): string {
  const files = join(source.pgdata, "log", "*.log");
  const start = `^[[:digit:]]{4}-[[:digit:]]{2}-[[:digit:]]{2} [[:digit:]]{2}:[[:digit:]]{2}:[[:digit:]]{2}[.][[:digit:]]{3} GMT,`;
  const forward = [
    ...target(endpoint),
    `template="PgAuditLog"`,
    `queue.type="LinkedList" queue.size="1000"`,
    `action.resumeRetryCount="10"`,
    ...(endpoint.tls ? tlsDriver(endpoint.host) : []),
  ];
  return `# Managed by compute_ctl: audit logs
module(load="imfile")
input(type="imfile" file=${quote(files)}
      tag="pgaudit_log" severity="info" facility="local5"
      startmsg.regex=${quote(start)})

global(workDirectory="/var/log/rsyslog"
       defaultNetstreamDriverCAFile="/etc/ssl/certs/ca-certificates.crt")

set $.json_log!endpoint_id = ${quote(source.endpointId)};
set $.json_log!project_id = ${quote(source.projectId)};
set $.json_log!msg = $msg;

template(name="PgAuditLog" type="string"
         string="<%PRI%>1 %TIMESTAMP:::date-rfc3339% %HOSTNAME% - - - - %$.json_log%")

local5.info action(type="omfwd"
  ${forward.join("\n  ")})
`;
}

/** What makes rsyslogd send what Postgres writes to syslog, in RFC 5424 form (contract: postgres-config.md 9.2). */
export function renderLogsExportConfig(endpoint: SyslogEndpoint): string {
  const forward = [
    ...target(endpoint),
    `template="RSYSLOG_SyslogProtocol23Format"`,
    `queue.type="LinkedList" queue.size="1000"`,
    `action.resumeRetryCount="3"`,
  ];
  return `# Managed by compute_ctl: log of Postgres
if $programname == 'postgres' then {
  action(type="omfwd"
    ${forward.join("\n    ")})
  stop
}
`;
}

function target({ host, port }: SyslogEndpoint): string[] {
  return [`target=${quote(host)} port="${port}" protocol="tcp"`];
}

function tlsDriver(host: string): string[] {
  return [
    `streamDriver="gtls" streamDriverMode="1"`,
    `streamDriverAuthMode="x509/name" streamDriverPermittedPeers=${quote(host)}`,
    `streamDriver.checkExtendedKeyPurpose="on" streamDriver.permitExpiredCerts="off"`,
  ];
}

/** A string constant: of these characters rsyslog wants a backslash before; a line break would end the statement. */
function quote(text: string): string {
  return `"${text.replace(/["\\$]/g, "\\$&").replace(/[\r\n]/g, " ")}"`;
}
