import * as z from "zod/mini";
import type { RouteResponse } from "../route.ts";

/** The one shape of an error that a handler answers (contract: http-api.md 3.2). */
export const errorSchema = z.object({ error: z.string() });

export function errorResponse(description: string): RouteResponse {
  return { description, schema: errorSchema };
}

/** What reading a JSON body can end with (contract: http-api.md 3.3). */
export const JSON_BODY_ERRORS = {
  400: errorResponse("no JSON"),
  413: errorResponse("body too large"),
  415: errorResponse("not JSON by its content type"),
  422: errorResponse("JSON of another shape"),
} as const;
