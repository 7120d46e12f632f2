import { chown, mkdir } from "node:fs/promises";
import { userInfo } from "node:os";
import { CodedError, errorChain, errorCode } from "../errors/coded_error.ts";
import { choosePostgresUser, type RunAs } from "../postgres/run_as.ts";

export interface ServiceUserOptions {
  readonly uid: number;
  /** `--user`. */
  readonly name: string | undefined;
  /** The state directory; need not exist. */
  readonly directory: string;
  readonly env: NodeJS.ProcessEnv;
}

/**
 * Who runs Postgres: undefined when we do it ourselves (contract: neon-local.md A15).
 *
 * @throws CodedError with exit 2 when the named user cannot
 */
export async function chooseServiceUser(options: ServiceUserOptions): Promise<RunAs | undefined> {
  const { uid, name, directory, env } = options;
  if (uid !== 0) {
    if (name !== undefined && name !== userInfo().username)
      throw new CodedError("usage", `only root can run Postgres as another user: leave --user ${name} out`, {
        exitCode: 2,
      });
    return undefined;
  }
  try {
    return await choosePostgresUser({ uid, name, directory, env });
  } catch (error) {
    if (errorCode(error) !== "no_postgres_user") throw error;
    throw new CodedError("no_postgres_user", errorChain(error), { exitCode: 2 });
  }
}

/** What tells our programs the user: its name. A uid without one cannot be named; the owner of PGDATA says it then. */
export function nameForPrograms(user: RunAs | undefined): string | undefined {
  return user === undefined || user.name === String(user.uid) ? undefined : user.name;
}

/** Makes PGDATA for a user without a name. */
export async function claimForNameless(pgdata: string, user: RunAs | undefined): Promise<void> {
  if (user === undefined || nameForPrograms(user) !== undefined) return;
  await mkdir(pgdata, { recursive: true, mode: 0o700 });
  await chown(pgdata, user.uid, user.gid);
}
