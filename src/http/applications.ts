import type { RequestListener } from "node:http";
import { getRequestListener } from "@hono/node-server";
import type { Logger } from "../telemetry/log.ts";
import type { ComputeApi } from "./compute_api.ts";
import { EXTERNAL_ROUTES } from "./external_routes.ts";
import { INTERNAL_ROUTES } from "./internal_routes.ts";
import { createRouter } from "./router.ts";
import { type AuthorizeOptions, createAuthorize } from "./token.ts";

export interface ApplicationsOptions {
  readonly compute: ComputeApi;
  readonly log: Logger;
  /** Who may use the external one; null: everybody. */
  readonly authorization: Omit<AuthorizeOptions, "log"> | null;
}

/** What answers on the two ports of a compute. */
export interface Applications {
  readonly external: RequestListener;
  readonly internal: RequestListener;
}

export function createApplications({ compute, log, authorization }: ApplicationsOptions): Applications {
  const authorize = authorization === null ? undefined : createAuthorize({ ...authorization, log });
  const external = createRouter({ compute, log, routes: EXTERNAL_ROUTES, ...(authorize && { authorize }) });
  const internal = createRouter({ compute, log, routes: INTERNAL_ROUTES });
  // The name is for requests without a Host header, which HTTP/1.0 allows.
  const listener = (app: typeof external): RequestListener => getRequestListener(app.fetch, { hostname: "localhost" });
  return { external: listener(external), internal: listener(internal) };
}
