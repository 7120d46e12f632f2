import { CodedError } from "../errors/coded_error.ts";
import type { ErrorFields } from "../wire/postgres_protocol.ts";

/** When the server said it: before anything was asked, in answer to the password, or in answer to a query. */
export type SessionPhase = "startup" | "authentication" | "query";

/** An ErrorResponse. `code` is the SQLSTATE. */
export class ServerError extends CodedError {
  readonly severity: string;
  readonly phase: SessionPhase;
  readonly serverMessage: string;

  constructor(fields: ErrorFields, phase: SessionPhase) {
    super(fields.code, `${fields.severity}: ${fields.message}`, { status: 502 });
    this.severity = fields.severity;
    this.phase = phase;
    this.serverMessage = fields.message;
  }
}
