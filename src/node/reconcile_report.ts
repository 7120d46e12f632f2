import type { ReconcileReport } from "../http/routes/reconcile.ts";
import { actionJson } from "../reconcile/plan/plan_text.ts";
import type { Reconciled } from "../reconcile/reconcile.ts";

/** The outcome of a look at the catalogs as `GET /reconcile` shows it: without passwords. */
export function reconcileReport({ plan, applied, failures }: Reconciled): ReconcileReport {
  return {
    planned: plan.actions.map(actionJson),
    applied: applied.map(actionJson),
    failures: failures.map(({ phase, object, database, code, message, detail, statement, blockers }) => ({
      phase,
      object,
      database: database ?? null,
      code,
      message,
      detail: detail ?? null,
      statement: statement ?? null,
      blockers: [...blockers],
    })),
    warnings: [...plan.warnings],
  };
}
