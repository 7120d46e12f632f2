import { CodedError } from "../errors/coded_error.ts";

/** One string of the file: `''` and `\x` inside, no raw newline. PostgreSQL's own definition. */
const QUOTED = /^'(?:[^'\\\n]|\\[^\n]|'')*'$/;

/**
 * What PostgreSQL reads as one value without quotes. Narrower than it looks natural: `a.b` is lexed as a qualified name,
 * `1.5GB` as two tokens and `1e5` as an error, while all of them are fine between quotes.
 */
const PLAIN = [/^[A-Za-z_][A-Za-z0-9_-]*$/, /^[+-]?(?:[0-9]+|0x[0-9A-Fa-f]+)[A-Za-z]*$/, /^[+-]?[0-9]+\.[0-9]*$/];

/** A parameter name of the file, with at most one dot. PostgreSQL also takes every non-ASCII byte as a letter. */
const NAME =
  /^[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*(?:\.[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?$/;

const ESCAPES: Readonly<Record<string, string>> = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

/**
 * Writes any text as one quoted value of a configuration file: `'` and `\` doubled, a newline as `\n`
 * (contract: postgres-config.md 2.2). A NUL has no spelling there: error `invalid_setting`.
 */
export function quoteString(value: string): string {
  refuseNul(value);
  return `'${value.replaceAll("\\", "\\\\").replaceAll("'", "''").replaceAll("\n", "\\n")}'`;
}

/**
 * Writes the value of a setting whose `vartype` is not `string`. It stays as it came when it is a plain word or number
 * or already one well-formed quoted string; anything else is quoted, so that it cannot break out of its line.
 */
export function quoteRawValue(value: string): string {
  const text = value.trim();
  refuseNul(text);
  return QUOTED.test(text) || PLAIN.some((pattern) => pattern.test(text)) ? text : quoteString(text);
}

/** The value of one `cluster.settings` element as it stands in the file: quoted for `vartype` `string`, else raw. */
export function renderSettingValue(value: string, vartype: string): string {
  return vartype === "string" ? quoteString(value) : quoteRawValue(value);
}

/**
 * The text that PostgreSQL makes of a value token: quoted ones decoded, others as they are. An octal escape above `\177`
 * gives one character here and one byte there.
 */
export function decodeValue(token: string): string {
  if (!QUOTED.test(token)) return token;
  return token
    .slice(1, -1)
    .replaceAll(/''|\\([0-7]{1,3}|[^\n])/g, (_, escaped: string | undefined) =>
      escaped === undefined
        ? "'"
        : /^[0-7]/.test(escaped)
          ? String.fromCharCode(Number.parseInt(escaped, 8) & 0xff)
          : (ESCAPES[escaped] ?? escaped),
    );
}

/** The value that PostgreSQL will see for a `cluster.settings` element. */
export function effectiveSettingValue(value: string, vartype: string): string {
  return vartype === "string" ? value : decodeValue(value.trim());
}

function refuseNul(value: string): void {
  if (!value.includes("\0")) return;
  throw new CodedError("invalid_setting", "a configuration value holds a NUL character: remove it", { status: 400 });
}

/** Throws `invalid_setting` for a name that the file cannot hold: it could smuggle in a second line. */
export function requireSettingName(name: string): void {
  if (NAME.test(name)) return;
  throw new CodedError(
    "invalid_setting",
    `not a configuration parameter name: ${JSON.stringify(name)} (expected letters, digits, "_" and at most one ".")`,
    { status: 400 },
  );
}
