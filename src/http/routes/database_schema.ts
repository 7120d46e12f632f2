import { join } from "node:path";
import * as z from "zod/mini";
import { readQuery } from "../query.ts";
import type { Route } from "../route.ts";
import { errorResponse } from "./error_schema.ts";

const querySchema = z.object({ database: z.string() });

export const databaseSchemaRoute: Route = {
  method: "GET",
  path: "/database_schema",
  summary: "A database's schema as SQL, streamed; a complete dump ends with `-- PostgreSQL database dump complete`",
  authorized: true,
  query: querySchema,
  responses: {
    // The content type is the original's; who accepts text/plain gets that.
    200: { description: "SQL", contentType: "application/json" },
    400: errorResponse("query string wrong"),
    404: errorResponse("no such database"),
    500: errorResponse("pg_dump failed before its first output"),
  },
  handle: async (context, compute) => {
    const { database } = readQuery(context, querySchema);
    const { target, installation, env, sessionBegan } = compute.postgres;
    const { dumpDatabaseSchema } = await import("../../reconcile/readers/database_schema.ts");
    const ended = sessionBegan();
    try {
      const sql = await dumpDatabaseSchema({
        pgDump: join(installation.binDir, "pg_dump"),
        host: target.host,
        port: target.port,
        user: target.user,
        ...(target.password === undefined ? {} : { password: target.password }),
        database,
        env: { ...env, LC_MESSAGES: "C", LC_ALL: "C" },
        log: context.get("log"),
        signal: context.req.raw.signal,
      });
      const plain = context.req.header("accept")?.includes("text/plain") ?? false;
      return context.body(whenOver(sql, ended), 200, {
        "content-type": plain ? "text/plain; charset=utf-8" : "application/json",
      });
    } catch (error) {
      ended();
      throw error;
    }
  },
};

function whenOver(stream: ReadableStream<Uint8Array>, over: () => void): ReadableStream<Uint8Array> {
  const reader = stream.getReader();
  return new ReadableStream({
    pull: async (controller) => {
      try {
        const { done, value } = await reader.read();
        if (!done) return controller.enqueue(value);
        over();
        controller.close();
      } catch (error) {
        over();
        controller.error(error);
      }
    },
    cancel: async (reason) => {
      over();
      await reader.cancel(reason);
    },
  });
}
