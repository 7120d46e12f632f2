import { CodedError } from "../errors/coded_error.ts";
import { parseConnstr } from "../postgres/connstr.ts";
import { adminConnect } from "../reconcile/admin_session.ts";
import { desiredState } from "../reconcile/desired.ts";
import { planJson, planText } from "../reconcile/plan/plan_text.ts";
import { makePlan } from "../reconcile/reconcile.ts";
import { withSession } from "../reconcile/session.ts";
import { readConfigFile } from "../spec/config_file.ts";
import { resolveSpec } from "../spec/resolve.ts";

export interface PlanRequest {
  /** A `--config` file with a spec. */
  readonly config: string;
  readonly connstr: string;
  readonly json: boolean;
  readonly privilegedRoleName: string;
}

/**
 * What a compute would change in a running Postgres to bring it in line with a spec; changes nothing.
 *
 * @throws CodedError when the file does not resolve or the server cannot be looked at
 */
export async function planFor(request: PlanRequest): Promise<string> {
  const { spec } = await readConfigFile(request.config);
  if (spec === null) throw new CodedError("no_spec", `${request.config} holds no spec`);
  const resolved = resolveSpec(spec);
  const { database } = parseConnstr(request.connstr);
  const connect = adminConnect({ connstr: request.connstr });
  // Neon's extension is what tells its server from a stock one, for somebody who only has a connection.
  const neonServer = await withSession(connect, database, "compute_ctl:plan", async (session) => {
    const rows = await session.query("SELECT FROM pg_catalog.pg_available_extensions WHERE name = 'neon'");
    return rows.length > 0;
  });
  const plan = await makePlan({
    desired: desiredState(
      { ...spec, timeline_id: resolved.timelineId },
      { systemDatabase: database, privilegedRole: request.privilegedRoleName, neonServer },
    ),
    connect,
  });
  if (request.json) return `${JSON.stringify(planJson(plan), null, 2)}\n`;
  const notes = [
    ...plan.problems.map(({ message }) => `problem: ${message}`),
    ...plan.warnings.map((text) => `warning: ${text}`),
  ];
  return `${planText(plan.actions)}${notes.map((note) => `${note}\n`).join("")}`;
}
