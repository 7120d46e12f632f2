import type { Logger } from "../telemetry/log.ts";
import type { Action } from "./action.ts";
import { actionObject } from "./action.ts";
import { apply } from "./apply/apply.ts";
import type { Desired } from "./desired.ts";
import { type Failure, failureOf, formatFailure, ReconcileError } from "./failure.ts";
import { observe } from "./observe.ts";
import type { Observed } from "./observed.ts";
import type { PhaseLimits } from "./phase.ts";
import { type Plan, plan } from "./plan/plan.ts";
import { objectKey, type Problem } from "./problem.ts";
import { APPLICATION_NAMES, type Connect, type Session, withSession } from "./session.ts";

export interface ReconcileOptions {
  readonly desired: Desired;
  readonly connect: Connect;
  /** How many databases are worked on at a time: `startConcurrency` or `reconfigureConcurrency` of the spec. */
  readonly concurrency: number;
  /**
   * What a failed role or database means. `abort`: the phases after it are left out and the run has failed (contract:
   * reconcile.md 11). `collect`: everything else is done and the run has succeeded, with failures to show. What is about
   * the compute itself, such as the privileged role, always fails the run.
   */
  readonly objectFailures: "abort" | "collect";
  readonly log: Logger;
  /** Shorter or longer limits than those of the phases. */
  readonly limits?: Partial<PhaseLimits>;
  readonly signal?: AbortSignal;
}

/** What a run came to. Shown by `GET /reconcile`. */
export interface Reconciled {
  readonly plan: Plan;
  readonly applied: readonly Action[];
  readonly failures: readonly Failure[];
}

/**
 * Brings roles and databases in line: one look, a plan, and what the plan says. Nothing to do costs one connection and a
 * constant number of statements (contract: reconcile.md 5, 15).
 *
 * @throws ReconcileError with all failures, when the run has failed; its `reconciled` says what was done until then.
 */
export async function reconcile(options: ReconcileOptions): Promise<Reconciled> {
  const { desired, connect, log } = options;
  log.info(`Applying config with max ${options.concurrency} concurrency`);
  if (desired.dropSubscriptionsFor !== undefined)
    log.info(
      `Checking if drop subscription operation was already performed for timeline_id: ${desired.dropSubscriptionsFor}`,
    );
  const system = await connect(desired.systemDatabase, APPLICATION_NAMES.reconcile).catch((error: unknown) => {
    throw aborted("Connect", error);
  });
  try {
    return await reconcileOver(system, options);
  } finally {
    await system.end();
  }
}

/** What {@link reconcile} would do, without doing it. */
export async function makePlan(options: { readonly desired: Desired; readonly connect: Connect }): Promise<Plan> {
  const { desired, connect } = options;
  return await withSession(connect, desired.systemDatabase, APPLICATION_NAMES.reconcile, async (system) =>
    plan(desired, await observe(system, desired)),
  );
}

async function reconcileOver(system: Session, options: ReconcileOptions): Promise<Reconciled> {
  const { desired, log } = options;
  const stopAtFailure = options.objectFailures === "abort";
  const observed = await look(system, desired);
  const planned = plan(desired, observed);
  for (const warning of planned.warnings) log.warn(warning);
  const problems = planned.problems.map(problemFailure);
  if (problems.some(({ fatal }) => fatal || stopAtFailure))
    throw new ReconcileFailed({ plan: planned, applied: [], failures: problems });
  const input = { ...options, observed, system, stopAtFailure };
  let applied = await apply(planned.actions, input);
  const raced = applied.failures.filter(({ code }) => RACES.has(code));
  if (raced.length > 0 && raced.length === applied.failures.length) applied = await again(applied.actions, raced);
  const reconciled = { plan: planned, applied: applied.actions, failures: [...problems, ...applied.failures] };
  for (const failure of reconciled.failures) log.error(formatFailure(failure));
  if (reconciled.failures.some(({ fatal }) => fatal || stopAtFailure)) throw new ReconcileFailed(reconciled);
  return reconciled;

  /**
   * Somebody created under our eyes what we were about to create: look once more and go on from there. Operations that
   * were carried out are not repeated.
   */
  async function again(
    done: readonly Action[],
    failures: readonly Failure[],
  ): Promise<{ actions: readonly Action[]; failures: readonly Failure[] }> {
    const objects = new Set(failures.map(({ object }) => objectKey(object)));
    const second = await look(system, desired);
    const carriedOut = new Set(done.map(operationOf));
    const operations = desired.operations.filter(({ action, name }) => !carriedOut.has(`${action} ${name}`));
    const next = plan({ ...desired, operations }, second);
    const stillThere = next.actions.some(
      (action) => isCreation(action) && objects.has(objectKey(actionObject(action))),
    );
    // It is still missing, so it was not taken away by somebody else: this would fail again.
    if (stillThere) return { actions: done, failures };
    const result = await apply(next.actions, { ...input, observed: second });
    return { actions: [...done, ...result.actions], failures: result.failures };
  }
}

/** {@link ReconcileError} that also says what was done. */
export class ReconcileFailed extends ReconcileError {
  readonly reconciled: Reconciled;

  constructor(reconciled: Reconciled) {
    super(reconciled.failures);
    this.reconciled = reconciled;
  }
}

/** Duplicate role, duplicate database. */
const RACES: ReadonlySet<string> = new Set(["42710", "42P04"]);

/** The operation that an action has carried out; renames need no mention, a look shows that they are done. */
function operationOf(action: Action): string | undefined {
  if (action.kind === "drop_database") return `delete_db ${action.name}`;
  return action.kind === "drop_role" || action.kind === "remove_role" ? `delete_role ${action.name}` : undefined;
}

function isCreation(action: Action): boolean {
  return action.kind === "create_role" || action.kind === "create_database";
}

async function look(system: Session, desired: Desired): Promise<Observed> {
  return await observe(system, desired).catch((error: unknown) => {
    throw aborted("Observe", error);
  });
}

function aborted(phase: "Connect" | "Observe", error: unknown): ReconcileError {
  const failure: Failure = {
    phase,
    object: { kind: "cluster" },
    database: undefined,
    ...failureOf(error),
    statement: undefined,
    blockers: [],
    fatal: true,
  };
  return new ReconcileError([failure], error);
}

function problemFailure({ object, code, message, fatal }: Problem): Failure {
  return {
    phase: "Plan",
    object,
    database: undefined,
    code,
    message,
    detail: undefined,
    statement: undefined,
    blockers: [],
    fatal,
  };
}
