import type { Action, ActionOf } from "../action.ts";
import { forEachAtMost } from "../concurrency.ts";
import type { Session } from "../session.ts";
import { actionSql, grantDatabase, type PlainAction } from "../sql/action_sql.ts";
import type { Execution } from "./execution.ts";

/** More sessions than this make it no faster: the copying is what takes the time (contract: reconcile.md 15). */
const PARALLEL_CREATES = 8;

type CreateDatabase = ActionOf<"create_database">;

/**
 * Owner changes and grants at once, then new databases in parallel, each followed by its grant. One whose template is
 * another new database waits for that one.
 */
export async function createDatabases(execution: Execution, actions: readonly Action[]): Promise<void> {
  const creates = actions.filter((action) => action.kind === "create_database");
  await execution.run(execution.system, actions.filter((action) => action.kind !== "create_database") as PlainAction[]);
  const failuresBefore = execution.failures.length;
  for (const wave of inWaves(creates)) await createWave(execution, wave);
  // The first failure in the order of the spec is the one that is reported first.
  const order = new Map(creates.map(({ name }, index) => [name, index]));
  const position = (name: string): number => order.get(name) ?? 0;
  const sorted = execution.failures
    .splice(failuresBefore)
    .sort((a, b) =>
      a.object.kind === "database" && b.object.kind === "database"
        ? position(a.object.name) - position(b.object.name)
        : 0,
    );
  execution.failures.push(...sorted);
}

async function createWave(execution: Execution, wave: readonly CreateDatabase[]): Promise<void> {
  const parallel = Math.min(execution.input.concurrency, PARALLEL_CREATES, wave.length);
  const idle: Session[] = [execution.system];
  const opened: Session[] = [];
  try {
    await forEachAtMost(parallel, wave, async (action) => {
      let session = idle.pop();
      if (!session) {
        session = await execution.open(execution.input.desired.systemDatabase);
        opened.push(session);
      }
      await createDatabase(execution, session, action);
      idle.push(session);
    });
  } finally {
    await Promise.all(opened.map((session) => session.end()));
  }
}

async function createDatabase(execution: Execution, session: Session, action: CreateDatabase): Promise<void> {
  let message: string;
  try {
    message = actionSql(action, execution.sql);
  } catch (error) {
    return execution.fail(action, { error, blockers: [] });
  }
  const failed =
    (await execution.attempt(session, action.phase, message)) ??
    (await execution.attempt(session, action.phase, grantDatabase(action.name, execution.sql.privilegedRole)));
  if (failed) execution.fail(action, failed);
  else execution.succeed(action);
}

/** Databases whose templates are already there, then those made from them, and so on; a circle comes last, to fail. */
function inWaves(creates: readonly CreateDatabase[]): CreateDatabase[][] {
  const waves: CreateDatabase[][] = [];
  let waiting = [...creates];
  while (waiting.length > 0) {
    const missing = new Set(waiting.map(({ name }) => name));
    const ready = waiting.filter(
      ({ name, template }) => template === undefined || template === name || !missing.has(template),
    );
    const wave = ready.length > 0 ? ready : waiting;
    waves.push(wave);
    waiting = waiting.filter((create) => !wave.includes(create));
  }
  return waves;
}
