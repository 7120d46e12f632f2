import { bodyLimit } from "hono/body-limit";
import { CodedError, errorChain } from "../errors/coded_error.ts";
import { SpecShapeError, SpecSyntaxError } from "../spec/decode.ts";
import type { RouteContext } from "./route.ts";

const MIB = 1024 * 1024;

/** A spec with many roles outgrows the original's 2 MiB (contract: http-api.md 2.5). */
const LIMITS = { spec: limitTo(64 * MIB), small: limitTo(2 * MIB) };

function limitTo(maxSize: number): ReturnType<typeof bodyLimit> {
  return bodyLimit({
    maxSize,
    onError: () => {
      throw new CodedError("body_too_large", "failed to buffer the request body: length limit exceeded", {
        status: 413,
      });
    },
  });
}

/**
 * Reads a request's JSON body through a decoder; failures are 415, 413, 400 (syntax) and 422 (shape), in that order and with
 * the whole message in lower case (contract: http-api.md 3.3, family A).
 */
export async function readJsonBody<T>(
  context: RouteContext,
  decode: (text: string) => T,
  size: keyof typeof LIMITS = "small",
): Promise<T> {
  const type = context.req.header("content-type")?.split(";")[0]?.trim().toLowerCase() ?? "";
  if (!/^application\/(json|[^\s/]+\+json)$/.test(type))
    throw new CodedError("unsupported_media_type", "expected request with `content-type: application/json`", {
      status: 415,
    });
  let text = "";
  await LIMITS[size](context, async () => {
    text = await context.req.text();
  });
  try {
    return decode(text);
  } catch (error) {
    if (error instanceof SpecSyntaxError) throw bodyError(400, "failed to parse the request body as json", error);
    if (error instanceof SpecShapeError)
      throw bodyError(422, "failed to deserialize the json body into the target type", error);
    throw error;
  }
}

function bodyError(status: number, what: string, error: Error): CodedError {
  return new CodedError("bad_body", `${what}: ${errorChain(error)}`.toLowerCase(), { status });
}
