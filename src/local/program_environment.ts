/** What every program of ours gets (contract: neon-local.md A3). */
const PASSED =
  /^(PATH|HOME|LANG|LC_.*|TZ|TMPDIR|NEON_.*|RUST_LOG|RUST_BACKTRACE|OTEL_.*|(DY)?LD_LIBRARY_PATH|COMPUTE_CTL_.*)$/;
/** Credentials of object stores: for programs that speak to one. */
const OBJECT_STORE = /^(AWS_.*|AZURE_STORAGE_.*)$/;
/**
 * Never passed on: descriptors of our own starter, the superuser's password, and credentials for Neon's cloud, which nothing here speaks to
 * (compute_ctl hands its environment on to Postgres whole).
 */
const KEPT =
  /^(NEON_LOCAL_SUPERVISOR_FD|NEON_API_KEY|NEON_LOCAL_PASSWORD(_FILE)?|NEON_CONTROL_PLANE_TOKEN|NEON_AUTH_TOKEN)$/;

export interface ProgramEnvironmentOptions {
  /** Whether the program speaks to an object store. */
  readonly objectStore: boolean;
  /** As root: the user that Postgres programs run as. */
  readonly postgresUser?: string | undefined;
}

/** The environment of a program that the service starts: a list of what passes, all else is dropped. */
export function programEnvironment(env: NodeJS.ProcessEnv, options: ProgramEnvironmentOptions): NodeJS.ProcessEnv {
  const child: NodeJS.ProcessEnv = {};
  for (const [name, value] of Object.entries(env)) {
    if (KEPT.test(name)) continue;
    if (PASSED.test(name) || (options.objectStore && OBJECT_STORE.test(name))) child[name] = value;
  }
  if (options.postgresUser !== undefined) child.COMPUTE_CTL_POSTGRES_USER = options.postgresUser;
  return child;
}
