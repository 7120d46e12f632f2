import { CodedError } from "../../errors/coded_error.ts";

/** A message of the safekeeper protocol that breaks a rule of its layout; the connection it came from must be closed. */
export function invalidMessage(what: string): CodedError {
  return new CodedError("safekeeper_message_invalid", `invalid safekeeper message: ${what}`, { status: 400 });
}
