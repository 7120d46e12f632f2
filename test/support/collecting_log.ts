import { createLogger, type Logger } from "../../src/telemetry/log.ts";

/** A logger whose lines a test can look at, without their timestamps: ` WARN text`. */
export function collectingLog(): { readonly log: Logger; readonly lines: string[] } {
  const lines: string[] = [];
  const log = createLogger({ level: "info", write: (line) => lines.push(line.trimEnd().replace(/^\S+ /, "")) });
  return { log, lines };
}
