import * as z from "zod/mini";
import { emptyStartupMetrics } from "../../telemetry/startup_metrics.ts";
import type { Route } from "../route.ts";

export const metricsRoute: Route = {
  method: "GET",
  path: "/metrics",
  summary: "Prometheus metrics",
  authorized: false,
  quiet: true,
  responses: { 200: { description: "the metrics in text format 0.0.4", contentType: "text/plain; version=0.0.4" } },
  handle: async (context, compute) =>
    context.body(await compute.metricsText(), 200, { "content-type": "text/plain; version=0.0.4" }),
};

const startupMetricsSchema = z.object(
  Object.fromEntries(Object.keys(emptyStartupMetrics()).map((name) => [name, z.int().check(z.nonnegative())])),
);

export const startupMetricsRoute: Route = {
  method: "GET",
  path: "/metrics.json",
  summary: "Start-up figures",
  authorized: true,
  responses: { 200: { description: "milliseconds, bytes and counts of the last start", schema: startupMetricsSchema } },
  handle: (context, compute) => context.json(compute.startupMetrics()),
};
