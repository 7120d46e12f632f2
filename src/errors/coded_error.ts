/** What a {@link CodedError} carries besides its message. */
export interface CodedErrorOptions {
  /** HTTP status when the error reaches a client; 500 unless told. */
  readonly status?: number;
  /** Process exit code when the error ends the program; 1 unless told. */
  readonly exitCode?: number;
  readonly cause?: unknown;
}

/**
 * Base of every error this project throws on purpose. `code` is stable and is what callers compare; the message is for
 * people: what happened, where, and what to do about it.
 */
export class CodedError extends Error {
  readonly code: string;
  readonly status: number;
  readonly exitCode: number;

  constructor(code: string, message: string, options: CodedErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.status = options.status ?? 500;
    this.exitCode = options.exitCode ?? 1;
  }
}

/** The message of an error followed by those of its causes, `: ` between them, none twice in a row. */
export function errorChain(error: unknown): string {
  const parts: string[] = [];
  for (let current: unknown = error, depth = 0; current !== undefined && current !== null && depth < 16; depth++) {
    const text = current instanceof Error ? current.message || current.name : String(current);
    if (parts.at(-1) !== text) parts.push(text);
    // A failed connect to several addresses is an AggregateError without a message of its own.
    current =
      current instanceof AggregateError && current.cause === undefined
        ? current.errors[0]
        : current instanceof Error
          ? current.cause
          : undefined;
  }
  return parts.join(": ");
}

/** The `code` of a system error, SQLSTATE carrier or {@link CodedError}; undefined for anything else. */
export function errorCode(error: unknown): string | undefined {
  return typeof error === "object" && error !== null && "code" in error && typeof error.code === "string"
    ? error.code
    : undefined;
}
