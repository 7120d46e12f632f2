import * as z from "zod/mini";
import { CodedError } from "../../errors/coded_error.ts";
import type { Route } from "../route.ts";
import { errorResponse } from "./error_schema.ts";

const querySchema = z.object({ mode: z.enum(["fast", "immediate"]) });
const terminateSchema = z.object({ lsn: z.nullable(z.string()) });

export const terminateRoute: Route = {
  method: "POST",
  path: "/terminate",
  summary: "Stop Postgres and, after 30 s (fast) or at once (immediate), the process",
  authorized: true,
  query: z.partial(querySchema),
  responses: {
    200: { description: "stopped; the LSN up to which a primary's WAL is in storage", schema: terminateSchema },
    201: { description: "was stopped before", schema: terminateSchema },
    400: errorResponse("query string wrong"),
    412: errorResponse("not in a state that can be terminated"),
    500: errorResponse("Postgres or the storage did not follow"),
  },
  handle: async (context, compute) => {
    // A query string without `mode`, even a bare `?`, is wrong; none at all means fast.
    const hasQuery = context.req.url.includes("?");
    const query = hasQuery
      ? querySchema.safeParse(context.req.query())
      : { success: true as const, data: { mode: "fast" as const } };
    if (!query.success) {
      const detail =
        context.req.query("mode") === undefined
          ? "missing field `mode`"
          : "mode: unknown variant, expected `fast` or `immediate`";
      throw new CodedError("bad_query", `Failed to deserialize query string: ${detail}`, { status: 400 });
    }
    const { lsn, repeated } = await compute.terminate(query.data.mode);
    return context.json({ lsn }, repeated ? 201 : 200);
  },
};
