import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { CodedError, errorChain } from "../../errors/coded_error.ts";
import type { Logger } from "../../telemetry/log.ts";

/** The body of every error (contract: storage-protocols.md 6, 7). */
export function errorAnswer(context: Context, status: number, msg: string): Response {
  return context.json({ msg }, status as ContentfulStatusCode);
}

/** The one place where an error becomes an answer. */
export function answerError(context: Context, error: unknown, log: Logger): Response {
  if (error instanceof HTTPException) return errorAnswer(context, error.status, error.message);
  const status = error instanceof CodedError ? error.status : 500;
  const msg = errorChain(error);
  if (status >= 500) log.error("request failed", { method: context.req.method, path: context.req.path, error: msg });
  return errorAnswer(context, status, msg);
}
