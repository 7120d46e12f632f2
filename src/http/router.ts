import { randomUUID } from "node:crypto";
import { Hono } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { CodedError, errorChain } from "../errors/coded_error.ts";
import type { Logger } from "../telemetry/log.ts";
import { display } from "../telemetry/log_line.ts";
import type { ComputeApi } from "./compute_api.ts";
import type { RequestVariables, Route } from "./route.ts";
import type { Authorize } from "./token.ts";
import { discardBody } from "./unread_body.ts";

export interface RouterOptions {
  readonly routes: readonly Route[];
  readonly compute: ComputeApi;
  readonly log: Logger;
  /** Absent on the internal server, and where authorization is switched off. */
  readonly authorize?: Authorize;
}

const REQUEST_ID = /^[\x21-\x7e]{1,200}$/;

/**
 * The HTTP application of a route table: request id, one log line when a request comes and one when it is answered, 404 for
 * unknown paths, 405 with `Allow` for unknown methods, JSON errors (contract: http-api.md 2, 3).
 */
export function createRouter(options: RouterOptions): Hono<RequestVariables> {
  const app = new Hono<RequestVariables>({ strict: true });
  const answers503 = new Set(options.routes.filter((route) => route.unavailableIsAnswer).map((route) => route.path));
  const quietPaths = new Set(options.routes.filter((route) => route.quiet).map((route) => route.path));

  app.use(async (context, next) => {
    const sent = context.req.header("x-request-id");
    const requestId = sent !== undefined && REQUEST_ID.test(sent) ? sent : randomUUID();
    const { pathname, search } = new URL(context.req.url);
    const log = options.log.span("request", {
      method: display(context.req.method),
      uri: display(pathname),
      version: display("HTTP/1.1"),
    });
    const level = quietPaths.has(pathname) ? "debug" : "info";
    const began = performance.now();
    context.set("requestId", requestId);
    context.set("log", log);
    log[level](`${context.req.method} ${pathname}${search}`, { request_id: display(requestId) });
    await next();
    context.res.headers.set("x-request-id", requestId);
    if (context.res.status >= 400 && !(await discardBody(context))) context.res.headers.set("connection", "close");
    const latency = Math.round(performance.now() - began);
    log[level]("", { request_id: display(requestId), code: context.res.status, latency });
    const { status } = context.res;
    if (status >= 500 && !(status === 503 && answers503.has(pathname)))
      log.error("response failed", {
        classification: display(`Status code: ${status}`),
        latency: display(`${latency} ms`),
      });
  });

  for (const route of options.routes) {
    app.on(route.method, route.path, async (context) => {
      if (route.authorized && options.authorize) await options.authorize(context.req.header("authorization"));
      return await route.handle(context, options.compute);
    });
  }
  for (const [path, allowed] of allowedMethods(options.routes))
    app.all(path, (context) => context.body(null, 405, { Allow: allowed }));

  app.notFound((context) => context.body(null, 404));
  app.onError((error, context) => {
    const log = context.get("log") ?? options.log;
    const message = errorChain(error);
    log.error(message);
    if (error instanceof CodedError) return context.json({ error: message }, error.status as ContentfulStatusCode);
    if (error.stack) log.debug(error.stack);
    return context.json({ error: `internal error: ${message}` }, 500);
  });
  return app;
}

function allowedMethods(routes: readonly Route[]): Map<string, string> {
  const methods = new Map<string, string[]>();
  for (const { method, path } of routes) {
    const known = methods.get(path) ?? [];
    known.push(...(method === "GET" ? ["GET", "HEAD"] : [method]));
    methods.set(path, known);
  }
  return new Map([...methods].map(([path, names]) => [path, names.join(",")]));
}
