import { open, readFile } from "node:fs/promises";
import * as z from "zod";
import { replaceFile } from "../disk/atomic_file.ts";
import { errorCode } from "../errors/coded_error.ts";
import { encodeRecord, recordChecksum, STORE_FORMAT } from "./record_text.ts";
import { damagedFile, StoreError } from "./store_error.ts";

export { encodeRecord, STORE_FORMAT } from "./record_text.ts";

const CHECKSUM = /,\n "crc32c": "([0-9a-f]{8})"\n\}\n$/;

/** The reverse of {@link encodeRecord}; `path` is for the errors, which name it. */
export function decodeRecord<T>(text: string, schema: z.ZodType<T>, path: string, remedy = REMEDY): T {
  const match = CHECKSUM.exec(text);
  const body = text.slice(0, match?.index);
  if (!match) throw damagedFile(path, "it has no checksum at its end", remedy);
  if (match[1] !== recordChecksum(body)) throw damagedFile(path, "its checksum does not fit its content", remedy);
  const value: unknown = JSON.parse(`${body}}`);
  const { format } = formatOnly.parse(value);
  if (format > STORE_FORMAT)
    throw new StoreError(
      "newer_format",
      `${path} has format ${format}, this program knows ${STORE_FORMAT}: a newer neon-store wrote it; run that one`,
    );
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw damagedFile(path, z.prettifyError(parsed.error), remedy);
  return parsed.data;
}

/** Undefined when the file does not exist. `remedy` says in errors what to do about a damaged file. */
export async function readRecord<T>(path: string, schema: z.ZodType<T>, remedy = REMEDY): Promise<T | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
  return decodeRecord(text, schema, path, remedy);
}

/** As {@link readRecord}, but a missing file is damage. */
export async function requireRecord<T>(path: string, schema: z.ZodType<T>): Promise<T> {
  const record = await readRecord(path, schema);
  if (record === undefined) throw damagedFile(path, "it is missing", REMEDY);
  return record;
}

export async function writeRecord(path: string, value: object): Promise<void> {
  await replaceFile(path, encodeRecord(value));
}

/** Writes a record into a directory that nobody sees yet: no temporary name is needed. Its name is not synced. */
export async function writeNewRecord(path: string, value: object): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(encodeRecord(value));
    await file.sync();
  } finally {
    await file.close();
  }
}

const REMEDY = "put it back from a copy of the store";
const formatOnly = z.object({ format: z.number().int().positive() });
