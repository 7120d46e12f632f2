import { CodedError } from "../../errors/coded_error.ts";
import { quoteIdentifier } from "../../wire/sql_quoting.ts";
import type { Session } from "../session.ts";

/** Names of privileges that `POST /grants` takes; a schema only has USAGE and CREATE, the server refuses the others. */
export const PRIVILEGES = [
  "SELECT",
  "INSERT",
  "UPDATE",
  "DELETE",
  "TRUNCATE",
  "REFERENCES",
  "TRIGGER",
  "USAGE",
  "CREATE",
  "CONNECT",
  "TEMPORARY",
  "EXECUTE",
] as const;

export type Privilege = (typeof PRIVILEGES)[number];

export interface SchemaGrant {
  readonly schema: string;
  readonly role: string;
  readonly privileges: readonly Privilege[];
}

/**
 * Grants what the role does not have on the schema yet, in one statement; nothing missing means nothing written, which
 * is what makes it work on a replica (contract: reconcile.md 10).
 *
 * @throws CodedError `grant_failed` with the statement and the server's error as cause.
 */
export async function grantOnSchema(session: Session, { schema, role, privileges }: SchemaGrant): Promise<void> {
  const held = await session.query<{ privilege: string }>(
    `SELECT e.privilege_type AS privilege FROM pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) e
     WHERE n.nspname = $1 AND e.grantee = (SELECT oid FROM pg_roles WHERE rolname = $2)`,
    [schema, role],
  );
  const has = new Set(held.map(({ privilege }) => privilege));
  const missing = [...new Set(privileges)].filter((privilege) => !has.has(privilege));
  if (missing.length === 0) return;
  const unknown = missing.find((privilege) => !PRIVILEGES.includes(privilege));
  if (unknown !== undefined) throw new CodedError("bad_privilege", `not a privilege: ${unknown}`, { status: 400 });
  const statement = `GRANT ${missing.join(", ")} ON SCHEMA ${quoteIdentifier(schema)} TO ${quoteIdentifier(role)}`;
  try {
    await session.query(statement);
  } catch (cause) {
    throw new CodedError("grant_failed", `Failed to execute query: ${statement}`, { cause });
  }
}
