import { CodedError } from "../errors/coded_error.ts";

/** Where a libpq server is, as its connection string says. */
export interface ConnectionTarget {
  /** Name, address, or the directory of a Unix socket (begins with `/`). */
  readonly host: string;
  readonly port: number;
  readonly user: string | undefined;
  readonly password: string | undefined;
  /** Everything else that was said, such as `dbname`, `options`, `sslmode`. */
  readonly parameters: ReadonlyMap<string, string>;
}

const SCHEME = /^postgres(?:ql)?:\/\//;
const DEFAULT_PORT = 5432;

/**
 * Reads `postgresql://user:password@host:port/db?key=value`, `postgres://…`, or libpq's `key=value` words with quotes and
 * backslashes (contract: storage-protocols.md 1.1). One host only. Throws `invalid_connection_string`; the text itself is
 * never in the message, it may hold a password.
 */
export function parseConnectionString(text: string): ConnectionTarget {
  const parameters = SCHEME.test(text) ? urlParameters(text.replace(SCHEME, "")) : keywordParameters(text);
  const take = (name: string): string | undefined => {
    const value = parameters.get(name);
    parameters.delete(name);
    return value === "" ? undefined : value;
  };
  const host = take("host");
  const address = take("hostaddr") ?? host ?? "localhost";
  if (address.includes(",")) throw invalid("it names several hosts");
  const port = take("port") ?? String(DEFAULT_PORT);
  if (!/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65535)
    throw invalid("the port is not a number from 1 to 65535");
  return { host: address, port: Number(port), user: take("user"), password: take("password"), parameters };
}

function urlParameters(rest: string): Map<string, string> {
  const parameters = new Map<string, string>();
  const [beforeQuery = "", query] = splitOnce(rest, "?");
  const [authority = "", database] = splitOnce(beforeQuery, "/");
  const at = authority.lastIndexOf("@");
  if (at >= 0) {
    const [user = "", password] = splitOnce(authority.slice(0, at), ":");
    parameters.set("user", decode(user));
    if (password !== undefined) parameters.set("password", decode(password));
  }
  const place = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/.exec(authority.slice(at + 1));
  if (!place) throw invalid("host and port cannot be told apart");
  parameters.set("host", decode((place[1] ?? "").replace(/^\[(.*)\]$/, "$1")));
  parameters.set("port", place[2] ?? "");
  if (database) parameters.set("dbname", decode(database));
  for (const pair of query?.split("&") ?? []) {
    const [name = "", value = ""] = splitOnce(pair, "=");
    if (name !== "") parameters.set(decode(name), decode(value));
  }
  return parameters;
}

function keywordParameters(text: string): Map<string, string> {
  const parameters = new Map<string, string>();
  const word = /\s*([A-Za-z_]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s\\']|\\.)*))(?=\s|$)/gsy;
  const end = text.trimEnd().length;
  while (word.lastIndex < end) {
    const match = word.exec(text);
    if (!match) throw invalid("it is neither a postgresql:// URL nor a list of key=value words");
    parameters.set((match[1] ?? "").toLowerCase(), (match[2] ?? match[3] ?? "").replace(/\\(.)/gs, "$1"));
  }
  return parameters;
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid("it has a malformed percent escape");
  }
}

function invalid(reason: string): CodedError {
  return new CodedError("invalid_connection_string", `invalid connection string: ${reason}`, { status: 400 });
}
