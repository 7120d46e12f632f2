import { CodedError, errorChain, errorCode } from "../errors/coded_error.ts";
import type { PostgresInstallation, PostgresMajor } from "../postgres/installation.ts";
import { locatePostgres } from "../postgres/locate.ts";

export interface ChoosePostgresOptions {
  /** What the branch was made with; it never changes. */
  readonly branchMajor: PostgresMajor | undefined;
  /** `--pg-version`. */
  readonly wantedMajor: PostgresMajor | undefined;
  readonly pgBin: string | undefined;
  readonly env: NodeJS.ProcessEnv;
}

/**
 * The Postgres of a branch (contract: neon-local.md A2): the branch's major, else the wanted one, else the first found.
 *
 * @throws CodedError `incompatible_version` (exit 2) when branch and wish differ; exit 3 when there is no usable Postgres
 */
export async function choosePostgres(options: ChoosePostgresOptions): Promise<PostgresInstallation> {
  const { branchMajor, wantedMajor, pgBin, env } = options;
  if (branchMajor !== undefined && wantedMajor !== undefined && branchMajor !== wantedMajor)
    throw new CodedError(
      "incompatible_version",
      `the branch in this state directory is of PostgreSQL ${branchMajor}, not ${wantedMajor}: leave --pg-version out, or take another directory with --dir`,
      { status: 422, exitCode: 2 },
    );
  try {
    return await locatePostgres({ major: branchMajor ?? wantedMajor, pgBin, env });
  } catch (error) {
    // A named Postgres that does not run has another exit code where it is not the service that asks.
    if (error instanceof CodedError && error.exitCode === 3) throw error;
    throw new CodedError(errorCode(error) ?? "postgres_unusable", `no usable Postgres: ${errorChain(error)}`, {
      status: 422,
      exitCode: 3,
    });
  }
}
