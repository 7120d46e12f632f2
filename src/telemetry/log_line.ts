/** A field whose text is printed as it is; other strings are quoted. */
export class Display {
  readonly text: string;
  constructor(value: unknown) {
    this.text = String(value);
  }
}

/** Shorthand for {@link Display}: identifiers, statuses, LSNs. */
export function display(value: unknown): Display {
  return new Display(value);
}

export type LogFields = Readonly<Record<string, unknown>>;

export interface Span {
  readonly name: string;
  readonly fields: LogFields;
}

const PRINTED_LEVEL: Readonly<Record<string, string>> = {
  error: "ERROR",
  warn: " WARN",
  info: " INFO",
  debug: "DEBUG",
  trace: "TRACE",
};

/**
 * One line of our own log, without the newline: `<RFC 3339, microseconds> <level> <span>{k=v}:<span>: <message> k=v`
 * (contract: metrics-and-logs.md 8.1).
 *
 * @param micros microseconds since the Unix epoch
 */
export function formatLogLine(
  micros: number,
  level: string,
  spans: readonly Span[],
  message: string,
  fields: LogFields,
): string {
  const spanText = spans
    .map(({ name, fields: own }) => {
      const inner = formatFields(own);
      return inner === "" ? name : `${name}{${inner}}`;
    })
    .join(":");
  const head = `${formatTimestamp(micros)} ${PRINTED_LEVEL[level] ?? level.toUpperCase()}`;
  return [spanText === "" ? head : `${head} ${spanText}:`, message, formatFields(fields)]
    .filter((part) => part !== "")
    .join(" ");
}

function formatTimestamp(micros: number): string {
  const millis = Math.floor(micros / 1000);
  const rest = Math.floor(micros - millis * 1000);
  return `${new Date(millis).toISOString().slice(0, -1)}${String(rest).padStart(3, "0")}Z`;
}

function formatFields(fields: LogFields): string {
  const parts: string[] = [];
  for (const [key, value] of Object.entries(fields))
    if (value !== undefined) parts.push(`${key}=${formatValue(value)}`);
  return parts.join(" ");
}

function formatValue(value: unknown): string {
  if (value instanceof Display) return value.text;
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "object" && value !== null)
    return JSON.stringify(value, (_key, inner: unknown) => (typeof inner === "bigint" ? inner.toString() : inner));
  return String(value);
}
