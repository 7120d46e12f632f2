import * as z from "zod/mini";
import { errorChain } from "../../errors/coded_error.ts";
import { decodePromoteRequest } from "../../spec/decode.ts";
import { resolveSpec } from "../../spec/resolve.ts";
import { promoteRequestSchema } from "../../spec/schema.ts";
import { readJsonBody } from "../json_body.ts";
import type { Route } from "../route.ts";
import { JSON_BODY_ERRORS } from "./error_schema.ts";

const milliseconds = z.int().check(z.nonnegative());
const promotedSchema = z.object({
  status: z.literal("completed"),
  lsn_wait_time_ms: milliseconds,
  pg_promote_time_ms: milliseconds,
  reconfigure_time_ms: milliseconds,
});
const failedSchema = z.object({ status: z.literal("failed"), error: z.string() });

export const promoteRoute: Route = {
  method: "POST",
  path: "/promote",
  summary: "Makes a replica the primary",
  authorized: true,
  request: promoteRequestSchema,
  responses: {
    200: { description: "it takes writes", schema: promotedSchema },
    ...JSON_BODY_ERRORS,
    500: { description: "it does not", schema: failedSchema },
  },
  handle: async (context, compute) => {
    const request = await readJsonBody(context, decodePromoteRequest, "spec");
    const resolved = resolveSpec(request.spec);
    try {
      const timings = await compute.promote(resolved, request.wal_flush_lsn);
      return context.json({
        status: "completed",
        lsn_wait_time_ms: timings.lsnWaitMs,
        pg_promote_time_ms: timings.promoteMs,
        reconfigure_time_ms: timings.reconfigureMs,
      });
    } catch (error) {
      const message = errorChain(error);
      context.get("log").error(message);
      return context.json({ status: "failed", error: message }, 500);
    }
  },
};
