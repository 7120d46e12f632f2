import type { Route } from "../route.ts";
import { errorResponse } from "./error_schema.ts";

/** Postgres calls this with a limit of 3 s, so it never waits (contract: http-api.md 9.2). */
export const refreshConfigurationRoute: Route = {
  method: "POST",
  path: "/refresh_configuration",
  summary: "Has the config fetched again, because the pageservers may have moved",
  authorized: false,
  responses: {
    200: { description: "asked for; in `init` and after a failed start without effect" },
    500: errorResponse("not in a state that refreshes"),
  },
  handle: (context, compute) => {
    compute.refresh();
    return context.body(null, 200);
  },
};
