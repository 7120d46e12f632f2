import * as z from "zod/mini";
import { CodedError } from "../../errors/coded_error.ts";
import { readQuery } from "../query.ts";
import type { Route, RouteContext } from "../route.ts";
import { errorResponse } from "./error_schema.ts";

const PREFIX = "/extension_server/";
const querySchema = z.object({ is_library: z._default(z.enum(["true", "false"]), "false") });

/** Called by a backend that misses a file: the files are in place before the answer is sent (contract: http-api.md 9.1). */
export const extensionServerRoute: Route = {
  method: "POST",
  path: `${PREFIX}:filename{.+}`,
  summary: "Installs the extension that a file belongs to",
  authorized: false,
  query: querySchema,
  responses: {
    200: { description: "installed, now or before" },
    400: errorResponse("query string or path wrong"),
    404: errorResponse("not an extension of the spec"),
    409: errorResponse("the spec names no remote extensions"),
    412: errorResponse("no --remote-ext-base-url, or no spec yet"),
    500: errorResponse("download or unpacking failed"),
  },
  handle: async (context, compute) => {
    const name = fileName(context);
    const { is_library } = readQuery(context, querySchema);
    await compute.downloadExtension({ name, isLibrary: is_library === "true" });
    return context.body(null, 200);
  },
};

function fileName(context: RouteContext): string {
  try {
    return decodeURIComponent(new URL(context.req.url).pathname.slice(PREFIX.length));
  } catch {
    // What the decoder says adds nothing: there is one way to fail.
    throw new CodedError("bad_path", "invalid url: invalid utf-8 in `filename`", { status: 400 });
  }
}
