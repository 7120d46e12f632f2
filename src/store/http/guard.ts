import type { MiddlewareHandler } from "hono";
import { parseTenantShardId } from "../ids.ts";
import { checkPermission, type TokenVerifier } from "../token.ts";
import { errorAnswer } from "./errors.ts";

/** The API is for programs. A web page that reaches for it would come with an origin. */
export const refuseBrowsers: MiddlewareHandler = async (context, next) => {
  if (context.req.header("origin") !== undefined)
    return errorAnswer(context, 403, "Forbidden: requests from web pages are not served");
  await next();
  return undefined;
};

/** Asks for a token where one is needed (contract: storage-protocols.md 6). */
export function requireToken(verify: TokenVerifier): MiddlewareHandler {
  return async (context, next) => {
    if (context.req.path === "/v1/status") {
      await next();
      return undefined;
    }
    const header = context.req.header("authorization");
    if (header === undefined) return errorAnswer(context, 401, "Unauthorized: missing authorization header");
    try {
      const claims = await verify(/^Bearer (\S+)$/.exec(header)?.[1] ?? "");
      // Calls about no tenant at all are for managers only.
      const tenant = /^\/v1\/tenant\/([^/]+)/.exec(context.req.path)?.[1] ?? "";
      checkPermission(claims, parseTenantShardId(tenant)?.tenantId ?? "", "pageserver");
    } catch {
      // The reason is no business of who has no good token.
      return errorAnswer(context, 403, "Forbidden: JWT authentication error");
    }
    await next();
    return undefined;
  };
}
