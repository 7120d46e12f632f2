import { CodedError } from "../errors/coded_error.ts";
import { parseConnectionString } from "../wire/connection_string.ts";

/** `--connstr`, taken apart. Nothing comes from the environment (`PGHOST` and its kind). */
export interface ConnstrTarget {
  /** Host name, address, or directory of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string | undefined;
  readonly database: string;
  /** Startup options of the string itself. */
  readonly options: string | undefined;
}

/**
 * Takes the URL apart; the user defaults to `cloud_admin`, the database to the user. A `key=value` string is refused
 * (contract: lifecycle.md 1).
 *
 * @throws CodedError `bad_connstr`, `invalid_connection_string`; the text never holds the string.
 */
export function parseConnstr(connstr: string): ConnstrTarget {
  if (!/^postgres(ql)?:\/\//.test(connstr)) throw new CodedError("bad_connstr", "cannot parse connstr as a URL");
  const { host, port, password, parameters, ...target } = parseConnectionString(connstr);
  const user = target.user ?? "cloud_admin";
  return {
    host,
    port,
    user,
    password,
    database: parameters.get("dbname") || user,
    options: parameters.get("options") || undefined,
  };
}
