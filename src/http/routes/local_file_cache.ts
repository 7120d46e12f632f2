import * as z from "zod/mini";
import { CodedError } from "../../errors/coded_error.ts";
import { readQuery } from "../query.ts";
import type { Route } from "../route.ts";
import { errorResponse } from "./error_schema.ts";

const count = z.int().check(z.nonnegative());
const failed = z.object({ status: z.literal("failed"), error: z.string() });

const prewarmStateSchema = z.union([
  z.object({ status: z.enum(["not_prewarmed", "prewarming", "skipped", "cancelled"]) }),
  failed,
  z.object({
    status: z.literal("completed"),
    total: count,
    prewarmed: count,
    skipped: count,
    state_download_time_ms: count,
    uncompress_time_ms: count,
    prewarm_time_ms: count,
  }),
]);

const offloadStateSchema = z.union([
  z.object({ status: z.enum(["not_offloaded", "offloading", "skipped"]) }),
  failed,
  z.object({
    status: z.literal("completed"),
    state_query_time_ms: count,
    compress_time_ms: count,
    state_upload_time_ms: count,
  }),
]);

const querySchema = z.object({ from_endpoint: z.string() });

export const prewarmStateRoute: Route = {
  method: "GET",
  path: "/lfc/prewarm",
  summary: "How the last prewarm of the local file cache went",
  authorized: true,
  responses: { 200: { description: "its state", schema: prewarmStateSchema } },
  handle: (context, { localFileCache }) => context.json(localFileCache.prewarmState),
};

export const prewarmRoute: Route = {
  method: "POST",
  path: "/lfc/prewarm",
  summary: "Loads the saved state of the local file cache, in the background",
  authorized: true,
  query: z.partial(querySchema),
  responses: {
    202: { description: "begun" },
    400: errorResponse("query string wrong"),
    429: errorResponse("one is running"),
  },
  handle: (context, { localFileCache }) => {
    // A query string without the parameter is wrong, none at all means our own endpoint.
    const from = context.req.url.includes("?") ? readQuery(context, querySchema).from_endpoint : null;
    if (!localFileCache.startPrewarm(from)) throw busy("Multiple requests for prewarm are not allowed");
    return context.body(null, 202);
  },
};

export const cancelPrewarmRoute: Route = {
  method: "DELETE",
  path: "/lfc/prewarm",
  summary: "Ends a running prewarm; what was loaded stays",
  authorized: true,
  responses: { 202: { description: "also when none runs" } },
  handle: (context, { localFileCache }) => {
    localFileCache.cancelPrewarm();
    return context.body(null, 202);
  },
};

export const offloadStateRoute: Route = {
  method: "GET",
  path: "/lfc/offload",
  summary: "How the last offload of the local file cache's state went",
  authorized: true,
  responses: { 200: { description: "its state", schema: offloadStateSchema } },
  handle: (context, { localFileCache }) => context.json(localFileCache.offloadState),
};

export const offloadRoute: Route = {
  method: "POST",
  path: "/lfc/offload",
  summary: "Saves the state of the local file cache, in the background",
  authorized: true,
  responses: { 202: { description: "begun" }, 429: errorResponse("one is running") },
  handle: (context, { localFileCache }) => {
    if (!localFileCache.startOffload()) throw busy("Multiple requests for prewarm offload are not allowed");
    return context.body(null, 202);
  },
};

function busy(message: string): CodedError {
  return new CodedError("busy", message, { status: 429 });
}
