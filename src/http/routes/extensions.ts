import * as z from "zod/mini";
import { CodedError, errorCode } from "../../errors/coded_error.ts";
import { APPLICATION_NAMES, withSession } from "../../reconcile/session.ts";
import { decodeJson } from "../../spec/decode.ts";
import { readJsonBody } from "../json_body.ts";
import type { Route } from "../route.ts";
import { errorResponse, JSON_BODY_ERRORS } from "./error_schema.ts";

const requestSchema = z.object({ extension: z.string(), database: z.string(), version: z.string() });

export const extensionsRoute: Route = {
  method: "POST",
  path: "/extensions",
  summary: "Brings an extension of a database to a version",
  authorized: false,
  request: requestSchema,
  responses: {
    201: { description: "it has that version now", schema: z.object({ extension: z.string(), version: z.string() }) },
    ...JSON_BODY_ERRORS,
    412: errorResponse("not running"),
    500: errorResponse("Postgres refused"),
  },
  handle: async (context, compute) => {
    const { extension, database, version } = await readJsonBody(context, (text) => decodeJson(requestSchema, text));
    compute.requireRunning();
    const { connect, privilegedRoleName: privilegedRole, installation } = compute.postgres;
    const { installExtension } = await import("../../reconcile/readers/extensions.ts");
    try {
      await withSession(connect, database, APPLICATION_NAMES.extensions, (session) =>
        installExtension(session, { extension, version, privilegedRole, serverMajor: installation.major }),
      );
    } catch (cause) {
      throw stepFailed("failed to install extension", cause);
    }
    return context.json({ extension, version }, 201);
  },
};

/** Names the step before the server's own words, as callers know it (contract: http-api.md 8.2, 8.3). */
export function stepFailed(what: string, cause: unknown): CodedError {
  const connecting = errorCode(cause) === "postgres_connect";
  return new CodedError("step_failed", connecting ? `${what}: Failed to connect to the database` : what, { cause });
}
