import * as z from "zod/mini";
import { grantOnSchema, PRIVILEGES } from "../../reconcile/readers/grants.ts";
import { APPLICATION_NAMES, withSession } from "../../reconcile/session.ts";
import { decodeJson } from "../../spec/decode.ts";
import { readJsonBody } from "../json_body.ts";
import type { Route } from "../route.ts";
import { errorResponse, JSON_BODY_ERRORS } from "./error_schema.ts";
import { stepFailed } from "./extensions.ts";

const grantsSchema = z.object({
  database: z.string(),
  schema: z.string(),
  privileges: z.array(z.enum(PRIVILEGES)),
  role: z.string(),
});

export const grantsRoute: Route = {
  method: "POST",
  path: "/grants",
  summary: "Grants a role privileges on a schema",
  authorized: false,
  request: grantsSchema,
  responses: {
    201: { description: "the role has them", schema: grantsSchema },
    ...JSON_BODY_ERRORS,
    412: errorResponse("not running"),
    500: errorResponse("Postgres refused: a schema only has USAGE and CREATE"),
  },
  handle: async (context, compute) => {
    const { database, schema, privileges, role } = await readJsonBody(context, (text) =>
      decodeJson(grantsSchema, text),
    );
    compute.requireRunning();
    try {
      await withSession(compute.postgres.connect, database, APPLICATION_NAMES.grants, (session) =>
        grantOnSchema(session, { schema, role, privileges }),
      );
    } catch (cause) {
      throw stepFailed("failed to grant role privileges to the schema", cause);
    }
    return context.json({ database, schema, privileges, role }, 201);
  },
};
