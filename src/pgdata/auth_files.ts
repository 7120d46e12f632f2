import { join } from "node:path";
import { editFile, hasLine, withLine } from "./append_line.ts";

/** Everyone whom no earlier rule admits needs a password; with a stored SCRAM verifier Postgres uses SCRAM. */
export const PASSWORD_RULE = "host\tall\t\tall\t\tall\t\tmd5";

/**
 * `pg_hba.conf` with the password rule as its last line, once (contract: postgres-config.md 6).
 *
 * @param include file of further rules, which must stand before the password rule, or nobody would reach them; needs
 *   PostgreSQL 16 (contract: postgres-config.md 14)
 */
export function withPasswordRule(hba: string, include: string | null): string {
  if (include === null) return withLine(hba, PASSWORD_RULE);
  const line = includeLine(include);
  if (hasLine(hba, line)) return withLine(hba, PASSWORD_RULE);
  if (!hasLine(hba, PASSWORD_RULE)) return withLine(withLine(hba, line), PASSWORD_RULE);
  const lines = hba.split("\n");
  const rule = lines.findIndex((candidate) => candidate.replace(/\r$/, "") === PASSWORD_RULE);
  return lines.toSpliced(rule, 0, line).join("\n");
}

/**
 * Appends to PGDATA's `pg_hba.conf`, which the base backup brought.
 *
 * @returns false when there was nothing to add
 */
export async function updatePgHba(pgdata: string, include: string | null): Promise<boolean> {
  return editFile(join(pgdata, "pg_hba.conf"), (text) => withPasswordRule(text, include));
}

/** Appends the include of `databricks_settings` to PGDATA's `pg_ident.conf`; false when it was there. */
export async function updatePgIdent(pgdata: string, include: string): Promise<boolean> {
  return editFile(join(pgdata, "pg_ident.conf"), (text) => withLine(text, includeLine(include)));
}

/** These files split at blanks and commas. */
function includeLine(path: string): string {
  return `include_if_exists ${/[\s,"#]/.test(path) ? `"${path.replaceAll('"', '""')}"` : path}`;
}
