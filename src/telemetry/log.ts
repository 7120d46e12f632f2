import pino from "pino";
import type { LogLevel } from "./log_level.ts";
import { formatLogLine, type LogFields, type Span } from "./log_line.ts";

/** What the project logs through. `span` gives a logger whose lines stand inside that span. */
export interface Logger {
  error(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  trace(message: string, fields?: LogFields): void;
  span(name: string, fields?: LogFields): Logger;
}

export interface LoggerOptions {
  readonly level: LogLevel;
  /** Takes one whole line, newline included; one call a line, so that lines of several writers do not mix. */
  readonly write: (line: string) => void;
  /** Microseconds since the Unix epoch. */
  readonly now?: () => number;
}

/** Wall clock with microseconds: monotonic within the process, so that lines never go back in time. */
function epochMicros(): number {
  return (performance.timeOrigin + performance.now()) * 1000;
}

/** A logger that writes the text format of the contract; levels are pino's, the line is ours. */
export function createLogger(options: LoggerOptions): Logger {
  const now = options.now ?? epochMicros;
  // With this symbol pino hands over the objects of the line, so that its JSON need not be read again.
  const destination = {
    [Symbol.for("pino.metadata")]: true,
    lastLevel: 0,
    lastMsg: "",
    lastObj: {} as LineObject,
    write(): void {
      const { spans, fields } = this.lastObj;
      options.write(
        `${formatLogLine(now(), pino.levels.labels[this.lastLevel] ?? "info", spans, this.lastMsg, fields)}\n`,
      );
    },
  };
  const root = pino(
    { level: options.level === "off" ? "silent" : options.level, base: null, timestamp: false },
    destination,
  );
  return wrap(root, []);
}

interface LineObject {
  readonly spans: readonly Span[];
  readonly fields: LogFields;
}

function wrap(root: pino.Logger, spans: readonly Span[]): Logger {
  const at =
    (level: Exclude<LogLevel, "off">) =>
    (message: string, fields: LogFields = {}): void => {
      // Not interpolated: a percent sign in a message is a percent sign.
      if (root.isLevelEnabled(level)) root[level]({ spans, fields } satisfies LineObject, "%s", message);
    };
  return {
    error: at("error"),
    warn: at("warn"),
    info: at("info"),
    debug: at("debug"),
    trace: at("trace"),
    span: (name, fields = {}) => wrap(root, [...spans, { name, fields }]),
  };
}
