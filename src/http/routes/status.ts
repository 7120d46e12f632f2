import * as z from "zod/mini";
import type { ComputeReport } from "../compute_api.ts";
import { COMPUTE_STATUSES } from "../compute_status.ts";
import type { Route } from "../route.ts";

export const statusSchema = z.object({
  start_time: z.iso.datetime(),
  tenant: z.nullable(z.string()),
  timeline: z.nullable(z.string()),
  status: z.enum(COMPUTE_STATUSES),
  last_active: z.nullable(z.iso.datetime({ offset: true })),
  error: z.nullable(z.string()),
});

/** The body of `/status`, fields in the order of the contract (http-api.md 7.1). */
export function statusBody(report: ComputeReport): z.infer<typeof statusSchema> {
  return {
    start_time: withoutZeroFraction(report.startTime.toISOString()),
    tenant: report.tenant,
    timeline: report.timeline,
    status: report.status,
    // Readers parse both, but this one field has always carried an offset instead of a Z.
    last_active:
      report.lastActive === null ? null : `${withoutZeroFraction(report.lastActive.toISOString()).slice(0, -1)}+00:00`,
    error: report.error,
  };
}

function withoutZeroFraction(iso: string): string {
  return iso.replace(/\.000Z$/, "Z");
}

export const statusRoute: Route = {
  method: "GET",
  path: "/status",
  summary: "State of the compute",
  authorized: true,
  quiet: true,
  responses: { 200: { description: "the state", schema: statusSchema } },
  handle: (context, compute) => context.json(statusBody(compute.report())),
};
