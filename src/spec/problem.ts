/** One thing that is wrong, and where in the JSON document. Never carries a value: specs hold passwords. */
export interface Problem {
  /** Such as `spec.cluster.roles[0].name`; empty for the document itself. */
  readonly path: string;
  readonly message: string;
}

const PLAIN_KEY = /^[A-Za-z0-9_]+$/;

/** Joins keys and array positions: `spec.cluster.settings[0].value`, `spec.pgbouncer_settings["a b"]`. */
export function joinPath(keys: readonly PropertyKey[]): string {
  let path = "";
  for (const key of keys) {
    if (typeof key === "number") path += `[${key}]`;
    else if (!PLAIN_KEY.test(String(key))) path += `[${JSON.stringify(String(key))}]`;
    else path += path === "" ? String(key) : `.${String(key)}`;
  }
  return path;
}

/** `<path>: <message>` */
export function formatProblem(problem: Problem): string {
  return problem.path === "" ? problem.message : `${problem.path}: ${problem.message}`;
}

const SHOWN = 5;

/** The first problems in one line; a document can have thousands. */
export function formatProblems(problems: readonly Problem[]): string {
  const shown = problems.slice(0, SHOWN).map(formatProblem).join("; ");
  const more = problems.length - SHOWN;
  return more > 0 ? `${shown}; and ${more} more` : shown;
}
