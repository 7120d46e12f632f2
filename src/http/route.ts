import type { Context } from "hono";
import type * as z from "zod/mini";
import type { Logger } from "../telemetry/log.ts";
import type { ComputeApi } from "./compute_api.ts";

/** What every request carries through the middlewares. */
export interface RequestVariables {
  Variables: { requestId: string; log: Logger };
}

export type RouteContext = Context<RequestVariables>;

export interface RouteResponse {
  readonly description: string;
  readonly schema?: z.ZodMiniType;
  /** `application/json` unless told. */
  readonly contentType?: string;
}

/** One row of a server's route table: the source of its router, its authorization and its OpenAPI document. */
export interface Route {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly path: string;
  readonly summary: string;
  /** External server only: false leaves the route open to callers without a token. */
  readonly authorized: boolean;
  readonly query?: z.ZodMiniType;
  readonly request?: z.ZodMiniType;
  readonly responses: Readonly<Record<number, RouteResponse>>;
  /** Scrapes and probes are logged at debug level. */
  readonly quiet?: true;
  /** Its 503 is an answer like any other, not a failure to log: who asks may ask every second, for as long as it takes. */
  readonly unavailableIsAnswer?: true;
  readonly handle: (context: RouteContext, compute: ComputeApi) => Response | Promise<Response>;
}
