import type { ConnstrTarget } from "../postgres/connstr.ts";
import type { PostgresInstallation } from "../postgres/installation.ts";
import type { Connect } from "../reconcile/session.ts";

/** Postgres, as the routes reach it. */
export interface PostgresAccess {
  readonly connect: Connect;
  /** `--connstr`; its database is where routes without one of their own go. */
  readonly target: ConnstrTarget;
  readonly installation: Pick<PostgresInstallation, "binDir" | "kind" | "major">;
  readonly pgdata: string;
  /** For programs that a route runs. */
  readonly env: NodeJS.ProcessEnv;
  readonly privilegedRoleName: string;
  /** A program of ours opens a session in a user's database: call what this returns when it has ended. */
  sessionBegan(): () => void;
}
