import { CodedError, errorChain } from "../errors/coded_error.ts";
import type { Phase } from "./phase.ts";
import { formatObject, type ObjectRef } from "./problem.ts";

/** What went wrong with one object. */
export interface Failure {
  /** Where in the run; `Plan` for what was found before anything was changed. */
  readonly phase: Phase | "Connect" | "Observe" | "Plan";
  readonly object: ObjectRef;
  /** The database in which the statement ran. */
  readonly database: string | undefined;
  /** The SQLSTATE where the server spoke, else a stable word. */
  readonly code: string;
  readonly message: string;
  readonly detail: string | undefined;
  /** Without passwords. */
  readonly statement: string | undefined;
  /** Sessions that held the lock that the statement waited for. */
  readonly blockers: readonly string[];
  /** Ends the run even where single objects may fail. */
  readonly fatal: boolean;
}

/** One line: phase, object, what the server said, who was in the way. */
export function formatFailure(failure: Failure): string {
  const where = failure.database === undefined ? "" : ` in database ${JSON.stringify(failure.database)}`;
  const detail = failure.detail === undefined ? "" : ` (${failure.detail.replaceAll("\n", "; ")})`;
  const blockers = failure.blockers.length === 0 ? "" : `; blocked by ${failure.blockers.join(", ")}`;
  return `${failure.phase}: ${formatObject(failure.object)}${where}: ${failure.message} [${failure.code}]${detail}${blockers}`;
}

/** The run was given up, or has failed objects where none may fail. */
export class ReconcileError extends CodedError {
  readonly failures: readonly Failure[];

  constructor(failures: readonly Failure[], cause?: unknown) {
    const [first] = failures;
    const more = failures.length > 1 ? ` (and ${failures.length - 1} more)` : "";
    super("reconcile_failed", `${first ? formatFailure(first) : "reconciling failed"}${more}`, { cause });
    this.failures = failures;
  }
}

/** The SQLSTATE of a server error, also when another error wraps it. */
export function sqlState(error: unknown): string | undefined {
  for (
    let current: unknown = error, depth = 0;
    current instanceof Error && depth < 8;
    depth++, current = current.cause
  ) {
    const { code } = current as { code?: unknown };
    if (typeof code === "string" && /^[0-9A-Z]{5}$/.test(code) && "severity" in current) return code;
  }
  return undefined;
}

/** The fields of a failure that come from an error. */
export function failureOf(error: unknown): Pick<Failure, "code" | "message" | "detail"> {
  const { detail, code } = error instanceof Error ? (error as { detail?: unknown; code?: unknown }) : {};
  return {
    code: sqlState(error) ?? (typeof code === "string" ? code : "unknown"),
    message: errorChain(error),
    detail: typeof detail === "string" ? detail : undefined,
  };
}
