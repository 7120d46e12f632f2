import type { Readable } from "node:stream";
import { LogRecords } from "./log_records.ts";

export interface LogCollectorOptions {
  /** Called for each record, in order. An error it throws goes to the process, as from any event handler. */
  readonly onRecord: (record: string) => void;
  /** How long a record waits for more lines; 100 ms unless told. */
  readonly flushMs?: number;
}

/** The one write by which a record of Postgres' log reaches our stderr (contract: metrics-and-logs.md 8.2). */
export function logLine(record: string): string {
  return `PG:${record}\n`;
}

/**
 * Reads Postgres' stderr to its end and hands on its records. Settles when the stream has ended, failed or was destroyed,
 * after the last record; it never rejects, because a log that breaks off must not end anything else.
 */
export function collectLog(stream: Readable, options: LogCollectorOptions): Promise<void> {
  const records = new LogRecords();
  let timer: NodeJS.Timeout | undefined;
  const emit = (complete: readonly string[]): void => {
    for (const record of complete) options.onRecord(record);
  };
  return new Promise((resolve) => {
    stream.on("data", (chunk: Buffer) => {
      clearTimeout(timer);
      emit(records.push(chunk));
      if (records.pending) timer = setTimeout(() => emit(records.flush()), options.flushMs ?? 100);
    });
    const finish = (): void => {
      clearTimeout(timer);
      emit(records.end());
      resolve();
    };
    stream.once("error", (error) => emit([...records.end(), `the log of Postgres broke off: ${error.message}`]));
    stream.once("close", finish);
  });
}
