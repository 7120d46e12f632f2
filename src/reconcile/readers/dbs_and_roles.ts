import type { Session } from "../session.ts";

/** `GET /dbs_and_roles` (contract: http-api.md 7.6). Holds password verifiers. */
export interface DbsAndRoles {
  readonly roles: readonly {
    readonly name: string;
    readonly encrypted_password: string | null;
    readonly options: null;
  }[];
  readonly databases: readonly {
    readonly name: string;
    readonly owner: string;
    readonly options: null;
    readonly restrict_conn: boolean;
    readonly invalid: boolean;
  }[];
}

/** Every role and every database, predefined ones and templates included. Works on a replica. */
export async function readDbsAndRoles(session: Session): Promise<DbsAndRoles> {
  const [roles, databases] = await Promise.all([
    session.query<{ name: string; password: string | null }>(
      "SELECT rolname::text AS name, rolpassword AS password FROM pg_authid ORDER BY 1",
    ),
    session.query<{ name: string; owner: string; restricted: boolean; invalid: boolean }>(
      `SELECT d.datname::text AS name, a.rolname::text AS owner, NOT d.datallowconn AS restricted, d.datconnlimit = -2 AS invalid
       FROM pg_database d JOIN pg_authid a ON a.oid = d.datdba ORDER BY 1`,
    ),
  ]);
  return {
    roles: roles.map(({ name, password }) => ({ name, encrypted_password: password, options: null })),
    databases: databases.map(({ name, owner, restricted, invalid }) => ({
      name,
      owner,
      options: null,
      restrict_conn: restricted,
      invalid,
    })),
  };
}
