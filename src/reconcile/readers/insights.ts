import { sqlState } from "../failure.ts";
import type { Session } from "../session.ts";

/** No such view, or the library is not preloaded. */
const NOT_COLLECTED: ReadonlySet<string | undefined> = new Set(["42P01", "3F000", "55000"]);

/**
 * At most 100 rows of `public.pg_stat_statements`, the slowest first, without our own statements (contract: http-api.md
 * 7.5). The JSON text `{"pg_stat_statements": […]}`; empty when the statistics are not collected.
 */
export async function readInsights(session: Session, admin = "cloud_admin"): Promise<string> {
  try {
    const [row] = await session.query<{ insights: string }>(
      `SELECT json_build_object('pg_stat_statements', coalesce(json_agg(row_to_json(s)), '[]'))::text AS insights FROM (
         SELECT * FROM public.pg_stat_statements
         WHERE userid IS DISTINCT FROM (SELECT oid FROM pg_roles WHERE rolname = $1)
         ORDER BY mean_exec_time + mean_plan_time DESC LIMIT 100) s`,
      [admin],
    );
    return row?.insights ?? EMPTY;
  } catch (error) {
    if (NOT_COLLECTED.has(sqlState(error))) return EMPTY;
    throw error;
  }
}

const EMPTY = '{"pg_stat_statements" : []}';
