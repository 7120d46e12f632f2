import { CodedError } from "../../errors/coded_error.ts";
import { quoteIdentifier } from "../../wire/sql_quoting.ts";
import { sqlState } from "../failure.ts";
import type { Session } from "../session.ts";
import { extensionGrants } from "../sql/action_sql.ts";

export interface ExtensionRequest {
  readonly extension: string;
  readonly version: string;
  readonly privilegedRole: string;
  readonly serverMajor: number;
}

/** A parallel CREATE EXTENSION was faster. */
const ALREADY_THERE: ReadonlySet<string | undefined> = new Set(["23505", "42710"]);
/** As above, while that one changed what this one looked at. */
const COLLISION = "XX000";
const TRIES = 3;

/**
 * Brings an extension of this database to a version: nothing, update or create (contract: reconcile.md 10). In `public`,
 * unless its control file names a schema; parallel requests for one extension all succeed.
 *
 * @throws CodedError `extension_failed` with the statement and the server's error as cause.
 */
export async function installExtension(session: Session, request: ExtensionRequest): Promise<void> {
  for (let tries = 1; ; tries++) {
    const statement = await nextStatement(session, request);
    if (statement === undefined) return;
    try {
      await session.script(statement);
      return;
    } catch (cause) {
      const state = sqlState(cause);
      if (tries < TRIES && (ALREADY_THERE.has(state) || state === COLLISION)) continue;
      throw new CodedError("extension_failed", `Failed to execute query: ${statement}`, { cause });
    }
  }
}

async function nextStatement(session: Session, request: ExtensionRequest): Promise<string | undefined> {
  const { extension, version } = request;
  const [found] = await session.query<{ installed: string | null; schema: string | null }>(
    `SELECT (SELECT extversion FROM pg_extension WHERE extname = $1) AS installed,
       (SELECT schema::text FROM pg_available_extension_versions WHERE name = $1 AND version = $2) AS schema`,
    [extension, version],
  );
  if (found?.installed === version) return undefined;
  const name = quoteIdentifier(extension);
  const to = quoteIdentifier(version);
  if (found?.installed) return `ALTER EXTENSION ${name} UPDATE TO ${to}`;
  const schema = found?.schema ?? null;
  return [
    `CREATE EXTENSION IF NOT EXISTS ${name}${schema === null ? " WITH SCHEMA public" : ""} VERSION ${to}`,
    ...extensionGrants(extension, schema ?? "public", request),
  ].join(";\n");
}
