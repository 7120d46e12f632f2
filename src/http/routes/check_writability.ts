import * as z from "zod/mini";
import { APPLICATION_NAMES } from "../../reconcile/session.ts";
import { askPostgres } from "../ask_postgres.ts";
import type { Route } from "../route.ts";
import { errorResponse } from "./error_schema.ts";

export const checkWritabilityRoute: Route = {
  method: "POST",
  path: "/check_writability",
  summary: "Writes a row to the availability table",
  authorized: true,
  responses: {
    200: { description: "written, or the disk is full, which is the tenant's business", schema: z.literal(true) },
    412: errorResponse("not running"),
    500: errorResponse("not writable: a replica, no table, no connection"),
  },
  handle: async (context, compute) => {
    compute.requireRunning();
    const { checkWritability } = await import("../../reconcile/readers/check_writability.ts");
    const outcome = await askPostgres(compute.postgres, APPLICATION_NAMES.checkWritability, (session) =>
      checkWritability(session),
    );
    if (outcome === "disk_full") context.get("log").warn("Tenant disk is full");
    return context.json(true);
  },
};
