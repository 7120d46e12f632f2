import { CodedError } from "../../errors/coded_error.ts";

/** The peer sent what the protocol does not allow; the connection cannot go on. Code `protocol_violation`. */
export class ProtocolError extends CodedError {
  constructor(message: string) {
    super("protocol_violation", message);
  }
}
