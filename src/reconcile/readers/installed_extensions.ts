import { forEachAtMost } from "../concurrency.ts";
import { sqlState } from "../failure.ts";
import { APPLICATION_NAMES, type Connect, withSession } from "../session.ts";

/** One line of the census: an extension in one version and kind of ownership, and in how many databases it is. */
interface InstalledExtension {
  readonly extname: string;
  readonly version: string;
  readonly n_databases: number;
  /** `"1"` when the bootstrap superuser owns it. */
  readonly owned_by_superuser: "0" | "1";
}

export interface InstalledExtensions {
  readonly extensions: readonly InstalledExtension[];
}

const MOST_DATABASES = 500;
const PARALLEL = 4;

/** Counts the extensions of all databases that can be looked into (contract: reconcile.md 10). Works on a replica. */
export async function readInstalledExtensions(connect: Connect, systemDatabase: string): Promise<InstalledExtensions> {
  const name = APPLICATION_NAMES.installedExtensions;
  const databases = await withSession(connect, systemDatabase, name, (session) =>
    session.query<{ name: string }>(
      `SELECT datname::text AS name FROM pg_database WHERE datallowconn AND datconnlimit <> -2 ORDER BY 1 LIMIT ${MOST_DATABASES}`,
    ),
  );
  const counts = new Map<string, InstalledExtension>();
  await forEachAtMost(PARALLEL, databases, async ({ name: database }) => {
    const rows = await withSession(connect, database, name, (session) =>
      session.query<{ extname: string; version: string; superuser: boolean }>(
        "SELECT extname::text AS extname, extversion AS version, extowner = 10 AS superuser FROM pg_extension",
      ),
    ).catch((error: unknown) => {
      // Dropped since the list was read.
      if (sqlState(error) === "3D000") return [];
      throw error;
    });
    for (const { extname, version, superuser } of rows) {
      const owned_by_superuser = superuser ? "1" : "0";
      const key = JSON.stringify([extname, version, owned_by_superuser]);
      const n_databases = (counts.get(key)?.n_databases ?? 0) + 1;
      counts.set(key, { extname, version, n_databases, owned_by_superuser });
    }
  });
  const extensions = [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, extension]) => extension);
  return { extensions };
}
