import { type Action, actionObject } from "../action.ts";
import { formatObject } from "../problem.ts";
import type { Plan } from "./plan.ts";

/** An action without its secrets, as JSON: what `compute_ctl plan --json` prints and `GET /reconcile` shows. */
export function actionJson(action: Action): Record<string, unknown> {
  if (action.kind !== "create_role" && action.kind !== "alter_role") return { ...action };
  const { password, ...rest } = action;
  return { ...rest, password: password === null ? "none" : "set" };
}

export function planJson(plan: Plan): Record<string, unknown> {
  return {
    actions: plan.actions.map(actionJson),
    problems: plan.problems,
    warnings: plan.warnings,
  };
}

/** A line for each action under its phase; `nothing to do` when there is none. */
export function planText(actions: readonly Action[]): string {
  if (actions.length === 0) return "nothing to do\n";
  const lines: string[] = [];
  let phase: string | undefined;
  for (const action of actions) {
    if (action.phase !== phase) lines.push(`${action.phase}:`);
    phase = action.phase;
    lines.push(`  ${describe(action)}`);
  }
  return `${lines.join("\n")}\n`;
}

function describe(action: Action): string {
  const object = actionObject(action);
  const what = action.kind.replaceAll("_", " ");
  const { kind: _kind, phase: _phase, ...details } = actionJson(action);
  if (object.kind !== "cluster")
    for (const key of ["name", "role", "database", "extension"]) if (details[key] === object.name) delete details[key];
  const shown = Object.entries(details)
    .filter(([, value]) => value !== "" && value !== undefined && value !== false)
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  const subject = object.kind === "cluster" ? "" : ` ${formatObject(object).slice(object.kind.length + 1)}`;
  return [`${what}${subject}`, ...shown].join(" ");
}
