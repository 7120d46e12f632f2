import * as z from "zod/mini";
import { APPLICATION_NAMES } from "../../reconcile/session.ts";
import { askPostgres } from "../ask_postgres.ts";
import { readQuery } from "../query.ts";
import type { Route } from "../route.ts";
import { errorResponse } from "./error_schema.ts";

const querySchema = z.object({ format: z._default(z.enum(["string", "object"]), "string") });
const insightsSchema = z.object({ pg_stat_statements: z.array(z.record(z.string(), z.unknown())) });

export const insightsRoute: Route = {
  method: "GET",
  path: "/insights",
  summary: "The slowest statements; as a string that holds JSON, or with `format=object` as the JSON itself",
  authorized: true,
  query: querySchema,
  responses: {
    200: { description: "at most 100 statements", schema: z.union([z.string(), insightsSchema]) },
    400: errorResponse("query string wrong"),
    412: errorResponse("not running"),
    500: errorResponse("Postgres did not answer"),
  },
  handle: async (context, compute) => {
    const { format } = readQuery(context, querySchema);
    compute.requireRunning();
    const { readInsights } = await import("../../reconcile/readers/insights.ts");
    const text = await askPostgres(compute.postgres, APPLICATION_NAMES.insights, (session) => readInsights(session));
    const body = format === "object" ? text : JSON.stringify(text);
    return context.body(body, 200, { "content-type": "application/json" });
  },
};
