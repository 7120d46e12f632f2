import { errorCode } from "../errors/coded_error.ts";
import { ServerError } from "./server_error.ts";

const PERMANENT_CODES: ReadonlySet<string> = new Set([
  "grpc_unauthenticated",
  "grpc_permission_denied",
  "grpc_not_found",
  "password_required",
  "unsupported_authentication",
  "tls_unsupported",
  "invalid_connection_string",
  "invalid_grpc_url",
]);

/**
 * What a pageserver answers to a command for an unknown timeline or with a foreign token. Both have the SQLSTATE of
 * every other error (XX000), so these words of the protocol are all there is to tell them by (contract:
 * storage-protocols.md 1.5).
 */
const PERMANENT_ANSWERS: ReadonlySet<string> = new Set(["not found", "JWT authentication error"]);

/** True for refused authentication and for things that do not exist: trying again cannot help (contract: lifecycle.md 8). */
export function isPermanentStorageError(error: unknown): boolean {
  if (error instanceof ServerError)
    return (
      error.code.startsWith("28") ||
      (error.code === "XX000" && (error.phase === "authentication" || PERMANENT_ANSWERS.has(error.serverMessage)))
    );
  const code = errorCode(error);
  return code !== undefined && PERMANENT_CODES.has(code);
}
