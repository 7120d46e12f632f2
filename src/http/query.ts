import type * as z from "zod/mini";
import { CodedError } from "../errors/coded_error.ts";
import type { RouteContext } from "./route.ts";

/**
 * Reads the query string, unknown parameters ignored; of repeated ones the first counts. What does not fit is 400
 * (contract: http-api.md 3.3).
 */
export function readQuery<Schema extends z.ZodMiniType>(context: RouteContext, schema: Schema): z.output<Schema> {
  const query = context.req.query();
  const result = schema.safeParse(query);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const name = String(issue?.path[0] ?? "");
  const detail = name in query ? `${name}: ${issue?.message.toLowerCase()}` : `missing field \`${name}\``;
  throw new CodedError("bad_query", `failed to deserialize query string: ${detail}`, { status: 400 });
}
