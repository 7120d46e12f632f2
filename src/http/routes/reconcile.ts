import * as z from "zod/mini";
import type { Route } from "../route.ts";

const objectSchema = z.object({ kind: z.string(), name: z.optional(z.string()) });

const failureSchema = z.object({
  phase: z.string(),
  object: objectSchema,
  database: z.nullable(z.string()),
  code: z.string(),
  message: z.string(),
  detail: z.nullable(z.string()),
  statement: z.nullable(z.string()),
  blockers: z.array(z.string()),
});

const reconcileSchema = z.object({
  planned: z.array(z.record(z.string(), z.unknown())),
  applied: z.array(z.record(z.string(), z.unknown())),
  failures: z.array(failureSchema),
  warnings: z.array(z.string()),
});

/** What became of roles and databases; null where nothing was looked at yet. */
export type ReconcileReport = z.infer<typeof reconcileSchema>;

/** Not in the original: one bad role or database does not stop a compute, so there must be a place that shows it. */
export const reconcileRoute: Route = {
  method: "GET",
  path: "/reconcile",
  summary: "The last plan for roles and databases, what was done and what failed",
  authorized: true,
  responses: { 200: { description: "null before the first look", schema: z.nullable(reconcileSchema) } },
  handle: (context, compute) => context.json(compute.lastReconcile()),
};
