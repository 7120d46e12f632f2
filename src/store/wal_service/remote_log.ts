import type { Logger } from "../../telemetry/log.ts";
import { Display, display, type LogFields } from "../../telemetry/log_line.ts";
import type { PlainField, WorkerReply } from "./messages.ts";

type LogMessage = Extract<WorkerReply, { kind: "log" }>;

/** A logger whose lines are written by another thread, so that one writer puts them in order. */
export function remoteLogger(post: (message: LogMessage) => void): Logger {
  const at =
    (level: LogMessage["level"]) =>
    (message: string, fields: LogFields = {}): void => {
      const plain = Object.entries(fields).map(([name, value]): [string, PlainField] => [
        name,
        value instanceof Display ? { display: value.text } : { value: value instanceof Error ? value.message : value },
      ]);
      post({ kind: "log", level, message, fields: Object.fromEntries(plain) });
    };
  const logger: Logger = {
    error: at("error"),
    warn: at("warn"),
    info: at("info"),
    debug: at("debug"),
    trace: at("trace"),
    // Nothing that runs in the worker has spans of its own.
    span: () => logger,
  };
  return logger;
}

/** Writes a line that came from {@link remoteLogger}. */
export function writeRemoteLine(log: Logger, { level, message, fields }: LogMessage): void {
  const own = Object.entries(fields).map(([name, field]) => [
    name,
    "display" in field ? display(field.display) : field.value,
  ]);
  log[level](message, Object.fromEntries(own) as LogFields);
}
