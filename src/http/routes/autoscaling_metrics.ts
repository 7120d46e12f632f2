import type { Route } from "../route.ts";
import { errorResponse } from "./error_schema.ts";

export const autoscalingMetricsRoute: Route = {
  method: "GET",
  path: "/autoscaling_metrics",
  summary: "Figures of the local file cache, for an autoscaler",
  authorized: false,
  quiet: true,
  responses: {
    200: { description: "the metrics in text format", contentType: "application/text" },
    500: errorResponse("Neon's Postgres is not there to ask"),
  },
  handle: async (context, compute) => {
    const { installation, pgdata, env } = compute.postgres;
    if (installation.kind === "stock") {
      const { STOCK_AUTOSCALING_METRICS } = await import("../stock_autoscaling_metrics.ts");
      return context.body(STOCK_AUTOSCALING_METRICS, 200, { "content-type": "application/text" });
    }
    const { askCommunicator } = await import("../communicator.ts");
    return await askCommunicator("/autoscaling_metrics", {
      pgdata,
      temporary: env.TMPDIR,
      signal: context.req.raw.signal,
    });
  },
};
