import type { Logger } from "../../telemetry/log.ts";
import { type Action, actionObject, isAboutTheCompute } from "../action.ts";
import type { Desired } from "../desired.ts";
import { type Failure, failureOf } from "../failure.ts";
import type { Observed } from "../observed.ts";
import { type Phase, type PhaseLimits, phaseLimits } from "../phase.ts";
import { formatObject, type ObjectRef, objectKey } from "../problem.ts";
import { type Answer, APPLICATION_NAMES, type Connect, type Session } from "../session.ts";
import { actionSql, type PlainAction, type SqlContext } from "../sql/action_sql.ts";
import { withBlockers } from "./blockers.ts";

export interface ExecutionInput {
  readonly desired: Desired;
  readonly observed: Observed;
  readonly connect: Connect;
  /** A session in the system database, open for the whole run. */
  readonly system: Session;
  /** How many databases are worked on at a time. */
  readonly concurrency: number;
  readonly limits?: Partial<PhaseLimits>;
  readonly log: Logger;
  readonly signal?: AbortSignal;
}

/** What a statement came to, with what is needed to report it. */
export interface Attempt {
  readonly error: unknown;
  readonly blockers: readonly string[];
}

/** One run: what was done, what failed, and the few ways in which statements are sent. */
export class Execution {
  readonly input: ExecutionInput;
  readonly sql: SqlContext;
  readonly applied: Action[] = [];
  readonly failures: Failure[] = [];
  readonly #failedObjects = new Set<string>();
  readonly #limits = new WeakMap<Session, string>();

  constructor(input: ExecutionInput) {
    this.input = input;
    this.sql = {
      privilegedRole: input.desired.privilegedRole,
      admin: input.observed.admin,
      serverMajor: input.observed.serverMajor,
      systemDatabase: input.desired.systemDatabase,
    };
  }

  get system(): Session {
    return this.input.system;
  }

  open(database: string): Promise<Session> {
    return this.input.connect(database, APPLICATION_NAMES.reconcile);
  }

  /** Sends messages with the time limits of a phase; limits are only sent when they are not in force yet. */
  async send(
    session: Session,
    phase: Phase,
    messages: readonly string[],
  ): Promise<{ answers: Answer[]; blockers: readonly string[] }> {
    this.input.signal?.throwIfAborted();
    const { lockTimeoutMs, statementTimeoutMs } = phaseLimits(phase, this.input.limits);
    const limits = `SET lock_timeout = ${lockTimeoutMs}; SET statement_timeout = ${statementTimeoutMs}`;
    const prefix = this.#limits.get(session) === limits ? [] : [limits];
    this.#limits.set(session, limits);
    const watch = { connect: this.input.connect, database: this.input.desired.systemDatabase, lockTimeoutMs };
    const { result, blockers } = await withBlockers(watch, session, () => session.pipeline([...prefix, ...messages]));
    return { answers: result.slice(prefix.length), blockers };
  }

  /** One message; the error instead of a throw. */
  async attempt(session: Session, phase: Phase, message: string): Promise<Attempt | undefined> {
    const { answers, blockers } = await this.send(session, phase, [message]);
    const [answer] = answers;
    return answer && "error" in answer ? { error: answer.error, blockers } : undefined;
  }

  /** All at once, one message an action; later ones run although an earlier one fails (contract: reconcile.md 5). */
  async run(session: Session, actions: readonly PlainAction[], database?: string): Promise<void> {
    const [first] = actions;
    if (!first) return;
    const messages: string[] = [];
    const sendable: PlainAction[] = [];
    for (const action of actions) {
      try {
        messages.push(actionSql(action, this.sql));
        sendable.push(action);
      } catch (error) {
        this.fail(action, { error, blockers: [] }, database);
      }
    }
    const { answers, blockers } = await this.send(session, first.phase, messages);
    sendable.forEach((action, index) => {
      const answer = answers[index];
      if (answer && "error" in answer) this.fail(action, { error: answer.error, blockers }, database);
      else this.succeed(action);
    });
  }

  succeed(action: Action): void {
    this.applied.push(action);
  }

  /** Books a failure of an action. `object` when it is about another one than the action's own. */
  fail(
    action: Action,
    { error, blockers }: Attempt,
    database?: string,
    object: ObjectRef = actionObject(action),
  ): void {
    const failure: Failure = {
      phase: action.phase,
      object,
      database,
      ...failureOf(error),
      statement: shownStatement(action, this.sql),
      // Only a lock timeout is the blockers' doing.
      blockers: failureOf(error).code === "55P03" ? blockers : [],
      fatal: isAboutTheCompute(action),
    };
    this.failures.push(failure);
    this.markFailed(object);
    if (action.kind === "rename_role") this.markFailed({ kind: "role", name: action.newName });
    if (action.kind === "rename_database") this.markFailed({ kind: "database", name: action.newName });
  }

  /** The session itself is broken, or the reconciler is: nothing more can be done. */
  giveUp(phase: Phase, error: unknown): void {
    this.failures.push({
      phase,
      object: { kind: "cluster" },
      database: undefined,
      ...failureOf(error),
      statement: undefined,
      blockers: [],
      fatal: true,
    });
  }

  markFailed(object: ObjectRef): void {
    if (object.kind !== "cluster") this.#failedObjects.add(objectKey(object));
  }

  hasFailed(object: ObjectRef): boolean {
    return this.#failedObjects.has(objectKey(object));
  }

  /** Whether something earlier in this run makes the action pointless or harmful; then it is left out. */
  isPointless(action: Action): boolean {
    const object = actionObject(action);
    if (!this.hasFailed(object)) return false;
    this.input.log.warn(`left out ${action.kind} of ${formatObject(object)}: an earlier step has failed`);
    return true;
  }
}

const SHOWN_LENGTH = 500;
const WITHOUT_SQL = new Set<Action["kind"]>([
  "remove_role",
  "drop_role_references",
  "record_visits",
  "drop_database",
  "rename_database",
]);

function shownStatement(action: Action, context: SqlContext): string | undefined {
  if (WITHOUT_SQL.has(action.kind)) return undefined;
  const hidden =
    (action.kind === "create_role" || action.kind === "alter_role") && action.password !== null
      ? { ...action, password: "***" }
      : action;
  try {
    const text = actionSql(hidden as PlainAction, context).replaceAll(/\s+/g, " ");
    return text.length > SHOWN_LENGTH ? `${text.slice(0, SHOWN_LENGTH)}…` : text;
  } catch {
    // It could not even be written down, which is what the failure says.
    return undefined;
  }
}
