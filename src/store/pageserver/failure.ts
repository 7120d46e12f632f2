import { errorChain, errorCode } from "../../errors/coded_error.ts";
import type { LibpqFailure, QueryProtocol } from "../libpq/session.ts";

const INTERNAL_ERROR = "XX000";
const ADMIN_SHUTDOWN = "57P01";

/**
 * What a client of the pageserver is told about a failed command; simple and extended queries have words of their own
 * (contract: storage-protocols.md 1.5).
 */
export function describePageserverFailure(error: unknown, protocol: QueryProtocol): LibpqFailure {
  const simple = protocol === "simple";
  const detail = errorChain(error);
  switch (errorCode(error)) {
    case "tenant_not_found":
    case "timeline_not_found":
      return { code: INTERNAL_ERROR, message: simple ? "not found" : `Not found: ${detail}`, closes: false };
    case "unauthorized":
      return {
        code: INTERNAL_ERROR,
        message: simple ? "JWT authentication error" : `Unauthorized: ${detail}`,
        closes: false,
      };
    case "shutting_down":
      return { code: ADMIN_SHUTDOWN, message: simple ? "shutdown" : "Shutting down", closes: simple };
    default: {
      const top = error instanceof Error ? error.message : String(error);
      return { code: INTERNAL_ERROR, message: simple ? detail : top, closes: false };
    }
  }
}
