import { decodeConfigurationRequest } from "../../spec/decode.ts";
import { resolveSpec } from "../../spec/resolve.ts";
import { configurationRequestSchema } from "../../spec/schema.ts";
import { readJsonBody } from "../json_body.ts";
import type { Route } from "../route.ts";
import { errorResponse } from "./error_schema.ts";
import { statusBody, statusSchema } from "./status.ts";

/** `compute_ctl_config` must decode but has no effect: keys and TLS paths stay those of the process start (http-api.md 7.9). */
export const configureRoute: Route = {
  method: "POST",
  path: "/configure",
  summary: "Take a spec and wait until it is in force",
  authorized: true,
  request: configurationRequestSchema,
  responses: {
    200: { description: "in force", schema: statusSchema },
    400: errorResponse("no JSON, or a spec that does not resolve"),
    412: errorResponse("not in a state that takes a spec"),
    413: errorResponse("body too large"),
    415: errorResponse("not JSON by its content type"),
    422: errorResponse("JSON of another shape"),
    500: errorResponse("the spec could not be applied"),
  },
  handle: async (context, compute) => {
    const { spec } = await readJsonBody(context, decodeConfigurationRequest, "spec");
    await compute.configure(resolveSpec(spec));
    return context.json(statusBody(compute.report()));
  },
};
