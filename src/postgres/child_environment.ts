import type { UnixUser } from "./unix_user.ts";

export interface ChildEnvironmentOptions {
  /** The user the child runs as when that is not ourselves. */
  readonly runAs?: UnixUser | undefined;
  /** `spec.storage_auth_token`, Postgres' password for pageserver and safekeepers. */
  readonly authToken?: string | undefined;
}

/**
 * Environment of a Postgres program: all of ours (contract: lifecycle.md 2), without the descriptor number that only means
 * something in this process. For another user also that user's home: libpq refuses to connect when it may not look into
 * the home that `HOME` names.
 */
export function childEnvironment(env: NodeJS.ProcessEnv, options: ChildEnvironmentOptions = {}): NodeJS.ProcessEnv {
  const { NEON_LOCAL_SUPERVISOR_FD: _ours, ...child } = env;
  if (options.runAs !== undefined) {
    child.HOME = options.runAs.home;
    child.USER = options.runAs.name;
    child.LOGNAME = options.runAs.name;
  }
  if (options.authToken !== undefined) child.NEON_AUTH_TOKEN = options.authToken;
  return child;
}

/**
 * The part of spawn's options that makes a child run as another user. It then starts in `/`: our directory may be closed
 * to that user, and Postgres up to 15 does not start where it cannot find out where it is. Name paths absolutely.
 */
export function identityOf(runAs: UnixUser | undefined): { uid: number; gid: number; cwd: string } | undefined {
  return runAs === undefined ? undefined : { uid: runAs.uid, gid: runAs.gid, cwd: "/" };
}
