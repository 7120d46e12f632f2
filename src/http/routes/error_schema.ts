import * as z from "zod/mini";
import type { RouteResponse } from "../route.ts";

/** The one shape of an error that a handler answers (contract: http-api.md 3.2). */
export const errorSchema = z.object({ error: z.string() });

export function errorResponse(description: string): RouteResponse {
  return { description, schema: errorSchema };
}
