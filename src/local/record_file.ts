import { mkdir, readFile, rename } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import * as z from "zod/mini";
import { replaceFile, syncDirectory } from "../disk/atomic_file.ts";
import { CodedError, errorCode } from "../errors/coded_error.ts";

export interface RecordReader {
  /** Where records go that cannot be read. */
  readonly brokenDir: string;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  /** Takes one sentence about a record that was put aside. */
  readonly report: (problem: string) => void;
}

/**
 * Reads a record; undefined when there is none. One that does not parse is moved away and reported: it must not stop the
 * service (contract: neon-local.md A4).
 */
export async function readRecord<T>(
  path: string,
  schema: z.ZodMiniType<T>,
  reader: RecordReader,
): Promise<T | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
  const outcome = parse(text, schema);
  if (outcome.ok) return outcome.value;
  const aside = join(reader.brokenDir, `${reader.now()}-${basename(path)}`);
  await rename(path, aside);
  await syncDirectory(dirname(path));
  reader.report(`the record ${path} cannot be read (${outcome.why}); it was moved to ${aside}`);
  return undefined;
}

/** Writes a record, whole or not at all. @throws CodedError `disk_full` with the old record intact */
export async function writeRecord(path: string, record: object): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await replaceFile(path, `${JSON.stringify(record, null, 2)}\n`);
  } catch (cause) {
    if (errorCode(cause) !== "ENOSPC" && errorCode(cause) !== "EDQUOT") throw cause;
    throw new CodedError("disk_full", `the disk is full: ${path} was not written`, { status: 507, cause });
  }
}

function parse<T>(text: string, schema: z.ZodMiniType<T>): { ok: true; value: T } | { ok: false; why: string } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { ok: false, why: text.trim() === "" ? "it is empty" : "it is no JSON" };
  }
  const result = schema.safeParse(value);
  if (result.success) return { ok: true, value: result.data };
  return { ok: false, why: z.prettifyError(result.error).replaceAll(/\s*\n\s*/g, " ") };
}
