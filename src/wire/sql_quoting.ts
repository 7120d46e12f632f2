import { CodedError } from "../errors/coded_error.ts";

/** What PostgreSQL keeps of an identifier; the rest would be cut off silently. */
const MAX_IDENTIFIER_BYTES = 63;

/** Doubles and wraps always, never conditionally: `a"b` gives `"a""b"` (contract: reconcile.md 8). */
export function quoteIdentifier(name: string): string {
  return `"${sqlText(name).replaceAll('"', '""')}"`;
}

/** Several identifiers with commas between them. */
export function quoteIdentifiers(names: readonly string[]): string {
  return names.map(quoteIdentifier).join(", ");
}

/** `it's` gives `'it''s'`; with a backslash the `E` form, which means the same whatever the session's settings are. */
export function quoteLiteral(text: string): string {
  const doubled = sqlText(text).replaceAll("'", "''");
  return doubled.includes("\\") ? `E'${doubled.replaceAll("\\", "\\\\")}'` : `'${doubled}'`;
}

/** `ARRAY['a', 'b']::text[]`; right for no element too. */
export function quoteTextArray(texts: readonly string[]): string {
  return `ARRAY[${texts.map(quoteLiteral).join(", ")}]::text[]`;
}

/** The shortest run of `x`, one at least, that is not in the text. */
export function dollarTag(text: string): string {
  let tag = "x";
  while (text.includes(tag)) tag += "x";
  return tag;
}

/** The text between `$x$` marks, with a tag that cannot occur in it. */
export function dollarQuote(text: string): string {
  const tag = dollarTag(sqlText(text));
  return `$${tag}$${text}$${tag}$`;
}

/** An anonymous PL/pgSQL block. The body must hold names as quoted identifiers or literals already. */
export function doBlock(body: string): string {
  return `DO ${dollarQuote(`\n${body}\n`)}`;
}

/** A name with a value, as in {@link serializeOptions}. */
export interface SqlOption {
  readonly name: string;
  readonly value?: string | null;
  readonly vartype: string;
}

/**
 * Options of `CREATE ROLE` and `CREATE DATABASE`, a blank between them. Only values of vartype `string` are quoted;
 * names and all other values are raw and trusted (contract: reconcile.md 8 rule 4).
 */
export function serializeOptions(options: readonly SqlOption[] | null | undefined): string {
  return (options ?? [])
    .map(({ name, value, vartype }) => {
      if (value === null || value === undefined) return sqlText(name);
      return `${sqlText(name)} ${vartype === "string" ? quoteLiteral(value) : sqlText(value)}`;
    })
    .join(" ");
}

/** Why a name cannot be a database or a role, or undefined when it can. */
export function invalidName(name: string): string | undefined {
  if (name === "") return "is empty";
  if (name.includes("\0")) return "contains a NUL character";
  if (!name.isWellFormed()) return "is not valid Unicode";
  const bytes = Buffer.byteLength(name);
  if (bytes > MAX_IDENTIFIER_BYTES) return `is ${bytes} bytes long, PostgreSQL keeps ${MAX_IDENTIFIER_BYTES}`;
  return undefined;
}

function sqlText(text: string): string {
  // A NUL would end the protocol's string, and with it the quoting.
  if (text.includes("\0"))
    throw new CodedError("invalid_sql_text", "a NUL character cannot be part of an SQL statement");
  return text;
}
