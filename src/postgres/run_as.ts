import { stat } from "node:fs/promises";
import type { Owner } from "../disk/atomic_file.ts";
import { CodedError, errorCode } from "../errors/coded_error.ts";
import { findUser } from "./passwd.ts";
import type { UnixUser } from "./unix_user.ts";

/**
 * The user that runs Postgres programs when we are root. Supplementary groups are given up with root's rights: a file that
 * Postgres reads through a second group (Debian's `ssl-cert`) must be readable by user or primary group.
 */
export type RunAs = UnixUser;

export interface ChooseUserOptions {
  /** Effective uid of this process. */
  readonly uid: number;
  /** `--user`. */
  readonly name?: string | undefined;
  /** State directory or PGDATA; its owner is taken when that is not root. Need not exist. */
  readonly directory?: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  /** Another file than `/etc/passwd`; then only that file is asked. */
  readonly passwdFile?: string;
}

/**
 * Who runs Postgres, which refuses root: ourselves (undefined) unless we are root; then the named user, else the owner of
 * `directory`, else `postgres`, else `nobody` (contract: neon-local.md A15).
 *
 * @throws CodedError `no_postgres_user` when the named user is unknown or root, or nobody is left to choose.
 */
export async function choosePostgresUser(options: ChooseUserOptions): Promise<RunAs | undefined> {
  if (options.uid !== 0) return undefined;
  const find = (wanted: string | number): Promise<UnixUser | undefined> => findUser(wanted, options);
  if (options.name !== undefined) {
    const user = await find(options.name);
    if (user === undefined) throw noUser(`there is no user named ${options.name}`);
    if (user.uid === 0) throw noUser(`${options.name} is root, and Postgres refuses to run as root`);
    return user;
  }
  const owner = options.directory === undefined ? undefined : await ownerOf(options.directory);
  if (owner !== undefined && owner.uid !== 0) {
    // A uid without a name is common in containers; the server runs under it, only initdb does not.
    return (await find(owner.uid)) ?? { ...owner, name: String(owner.uid), home: "/" };
  }
  const user = (await find("postgres")) ?? (await find("nobody"));
  if (user === undefined || user.uid === 0) throw noUser("there is no user postgres or nobody");
  return user;
}

/** The line that is said once when we are root. */
export function describeRunAs(runAs: RunAs): string {
  return `running as root: Postgres programs run as user ${runAs.name}`;
}

async function ownerOf(directory: string): Promise<Owner | undefined> {
  try {
    const { uid, gid } = await stat(directory);
    return { uid, gid };
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

function noUser(why: string): CodedError {
  return new CodedError("no_postgres_user", `cannot choose the user that runs Postgres: ${why}; name one with --user`);
}
