import type { Planning } from "./plan.ts";

/**
 * Subscriptions that a branch has inherited, once per timeline (contract: reconcile.md 7): dropped in the databases of
 * the spec, disabled everywhere else, because there too they would take the parent's slots.
 */
export function planSubscriptions({ desired, observed, draft, actions, warnings }: Planning): void {
  const timeline = desired.dropSubscriptionsFor;
  if (timeline === undefined || observed.subscriptionsDroppedFor === timeline) return;
  const listed = new Set(desired.databases.map(({ name }) => name));
  const disabled: string[] = [];
  for (const [name, database] of draft.databases) {
    if (database.subscriptions === 0) continue;
    if (listed.has(name) && !database.restricted)
      actions.push({ kind: "drop_subscriptions", phase: "RunInEachDatabase", database: name });
    else if (database.enabledSubscriptions > 0) disabled.push(name);
    if (listed.has(name) && database.restricted)
      warnings.push(
        `skipping RunInEachDatabase phase DropLogicalSubscriptions, database ${name} is (restrict_conn=true, invalid=false)`,
      );
  }
  if (disabled.length > 0)
    actions.push({ kind: "disable_subscriptions", phase: "DisableOtherSubscriptions", databases: disabled });
  actions.push({ kind: "record_subscriptions_dropped", phase: "FinalizeDropLogicalSubscriptions", timeline });
}
