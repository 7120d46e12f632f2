import * as z from "zod/mini";
import { APPLICATION_NAMES } from "../../reconcile/session.ts";
import { askPostgres } from "../ask_postgres.ts";
import type { Route } from "../route.ts";
import { errorResponse } from "./error_schema.ts";

const dbsAndRolesSchema = z.object({
  roles: z.array(
    z.object({ name: z.string(), encrypted_password: z.nullable(z.string()), options: z.nullable(z.string()) }),
  ),
  databases: z.array(
    z.object({
      name: z.string(),
      owner: z.string(),
      options: z.nullable(z.string()),
      restrict_conn: z.boolean(),
      invalid: z.boolean(),
    }),
  ),
});

export const dbsAndRolesRoute: Route = {
  method: "GET",
  path: "/dbs_and_roles",
  summary: "Every role and every database; password verifiers included",
  authorized: true,
  responses: {
    200: { description: "the catalogs' rows", schema: dbsAndRolesSchema },
    500: errorResponse("Postgres did not answer"),
  },
  handle: async (context, compute) => {
    const { readDbsAndRoles } = await import("../../reconcile/readers/dbs_and_roles.ts");
    return context.json(
      await askPostgres(compute.postgres, APPLICATION_NAMES.dbsAndRoles, (session) => readDbsAndRoles(session)),
    );
  },
};
