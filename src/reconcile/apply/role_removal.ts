import { CodedError } from "../../errors/coded_error.ts";
import type { Action, ActionOf } from "../action.ts";
import { forEachAtMost } from "../concurrency.ts";
import { sqlState } from "../failure.ts";
import type { Session } from "../session.ts";
import { actionSql, type PlainAction } from "../sql/action_sql.ts";
import {
  dropOrdinaryReferences,
  dropRoleReferences,
  findOrdinaryRoles,
  findRoleReferences,
  findSubscriptionsOf,
  type RoleReferences,
  reassignSubscriptions,
} from "../sql/role_references.ts";
import type { Attempt, Execution } from "./execution.ts";

const STILL_REFERENCED = "2BP01";
/** Somebody else changed the same catalog row, or waited for us in a circle. */
const COLLISIONS: ReadonlySet<string | undefined> = new Set(["XX000", "40P01"]);
const TRIES = 3;

/** Renames in list order; between them, roles that have to make room for a rename. */
export async function renameRoles(execution: Execution, actions: readonly Action[]): Promise<void> {
  for (const action of actions) {
    if (execution.isPointless(action)) continue;
    if (action.kind !== "remove_role") await execution.run(execution.system, [action as PlainAction]);
    else if (await removeReferences(execution, action, [action.name]))
      await dropRole(execution, { kind: "drop_role", phase: action.phase, name: action.name });
  }
}

/** Takes the roles' objects and privileges away everywhere; together where that works, else one role at a time. */
export async function dropRoleReferencesEverywhere(
  execution: Execution,
  action: ActionOf<"drop_role_references">,
): Promise<void> {
  if (await removeReferences(execution, action, action.roles)) execution.succeed(action);
}

/** All at once; a role that got new references meanwhile is cleaned and tried again (contract: reconcile.md 6.7 step 4). */
export async function dropRoles(execution: Execution, actions: readonly Action[]): Promise<void> {
  const drops = actions.filter((action) => action.kind === "drop_role" && !execution.isPointless(action));
  const messages = drops.map((action) => actionSql(action as PlainAction, execution.sql));
  const { answers, blockers } = await execution.send(execution.system, "DropRoles", messages);
  for (const [index, action] of drops.entries()) {
    const answer = answers[index];
    if (action.kind !== "drop_role") continue;
    if (!answer || !("error" in answer)) execution.succeed(action);
    else if (sqlState(answer.error) === STILL_REFERENCED) await dropRole(execution, action);
    else execution.fail(action, { error: answer.error, blockers });
  }
}

async function dropRole(execution: Execution, action: ActionOf<"drop_role">): Promise<void> {
  let failed: Attempt | undefined;
  for (let tries = 0; tries < TRIES; tries++) {
    failed = await execution.attempt(execution.system, action.phase, actionSql(action, execution.sql));
    if (!failed) return execution.succeed(action);
    if (sqlState(failed.error) !== STILL_REFERENCED) break;
    if (!(await removeReferences(execution, action, [action.name]))) return;
  }
  if (failed) execution.fail(action, failed);
}

/** True when nothing of the roles is left. What failed is booked at its role. */
async function removeReferences(execution: Execution, action: Action, roles: readonly string[]): Promise<boolean> {
  const failed = await removeTogether(execution, action, roles);
  if (!failed) return true;
  const [only, ...others] = roles;
  if (only !== undefined && others.length === 0) {
    execution.fail(action, failed, failed.database, { kind: "role", name: only });
    return false;
  }
  let all = true;
  for (const role of roles) all = (await removeReferences(execution, action, [role])) && all;
  return all;
}

interface Found {
  readonly role: string;
  readonly oid: string | null;
  readonly database: string | null;
  readonly owner: string | null;
  readonly restricted: boolean | null;
  readonly invalid: boolean | null;
  readonly special: boolean | null;
}

type FailedIn = Attempt & { readonly database: string | undefined };

/** Shared objects and the system database first, alone; then every other database, one session each. */
async function removeTogether(
  execution: Execution,
  action: Action,
  roles: readonly string[],
): Promise<FailedIn | undefined> {
  const { system } = execution;
  const { desired, observed, concurrency } = execution.input;
  const { systemDatabase, privilegedRole } = desired;
  const rows = await system.query<Found>(findRoleReferences(roles));
  const existing = [...new Set(rows.map(({ role }) => role))];
  const found = rows.filter(({ oid }) => oid !== null);
  if (found.length === 0) return undefined;
  const closed = found.find(({ restricted, invalid }) => restricted === true || invalid === true);
  if (closed) {
    const name = closed.database ?? "";
    const message = `role ${JSON.stringify(closed.role)} has objects or privileges in database ${JSON.stringify(name)}, which allows no connections`;
    return { error: new CodedError(STILL_REFERENCED, message), blockers: [], database: name };
  }
  const specOwners = new Map(desired.databases.map(({ name, owner }) => [name, owner]));
  const references = (database: string): RoleReferences => ({
    roles: existing,
    heir: specOwners.get(database),
    systemDatabase: database === systemDatabase,
    privilegedRole,
    admin: observed.admin,
    serverMajor: observed.serverMajor,
  });
  for (const { database } of await system.query<{ database: string }>(findSubscriptionsOf(existing))) {
    const failed = await inOwnSession(execution, database, (session) =>
      persistently(execution, session, action, reassignSubscriptions(references(database))),
    );
    if (failed) return { ...failed, database };
  }
  const shared = await persistently(execution, system, action, dropRoleReferences(references(systemDatabase)));
  if (shared) return { ...shared, database: systemDatabase };

  const others = new Map<string, { owner: string; special: boolean }>();
  for (const { database, owner, special } of found) {
    if (database === null || owner === null || database === systemDatabase) continue;
    const before = others.get(database);
    others.set(database, {
      owner: specOwners.get(database) ?? owner,
      special: special === true || before?.special === true,
    });
  }
  const owners = [...new Set([...others.values()].map(({ owner }) => owner))];
  const ordinary = new Set((await system.query<{ name: string }>(findOrdinaryRoles(owners))).map(({ name }) => name));
  let first: FailedIn | undefined;
  await forEachAtMost(concurrency, [...others], async ([database, { owner, special }]) => {
    const heir = ordinary.has(owner) && !existing.includes(owner) ? owner : privilegedRole;
    const failed = await inOwnSession(execution, database, async (session) => {
      if (!special) {
        const short = await persistently(execution, session, action, dropOrdinaryReferences(existing, heir));
        if (short !== LEFT_OVER) return short;
      }
      return await persistently(execution, session, action, dropRoleReferences(references(database)));
    });
    if (failed) first ??= { ...failed, database };
  });
  return first;
}

async function inOwnSession(
  execution: Execution,
  database: string,
  work: (session: Session) => Promise<Attempt | undefined>,
): Promise<Attempt | undefined> {
  let session: Session;
  try {
    session = await execution.open(database);
  } catch (error) {
    // Dropped since we looked: so are its references.
    return sqlState(error) === "3D000" ? undefined : { error, blockers: [] };
  }
  try {
    return await work(session);
  } finally {
    await session.end();
  }
}

/** What the short way has left for the long one; not a failure. */
const LEFT_OVER: Attempt = { error: undefined, blockers: [] };

async function persistently(
  execution: Execution,
  session: Session,
  action: Action,
  statement: string,
): Promise<Attempt | undefined> {
  for (let tries = 1; ; tries++) {
    const { answers, blockers } = await execution.send(session, action.phase, [statement]);
    const [answer] = answers;
    if (!answer || !("error" in answer)) return answer?.rows.at(-1)?.[0]?.left_over === true ? LEFT_OVER : undefined;
    if (tries === TRIES || !COLLISIONS.has(sqlState(answer.error))) return { error: answer.error, blockers };
  }
}
