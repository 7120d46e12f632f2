import * as z from "zod";
import type { Lsn } from "../wire/lsn.ts";
import { tryParseLsn } from "../wire/lsn.ts";
import { chunkIdPattern } from "./chunk.ts";

/** LSN text in a record file; what it is parsed to is made by {@link lsnOf}. */
export const lsnText = z.string().refine((text) => tryParseLsn(text) !== undefined, "not an LSN");

/** The value of a text that {@link lsnText} let through. */
export function lsnOf(text: string): Lsn {
  return tryParseLsn(text) ?? 0n;
}

const path = z
  .string()
  .refine((text) => text !== "" && !text.startsWith("/") && !text.split("/").includes(".."), "not a relative path");

const fileSchema = z.strictObject({
  path,
  mode: z.number().int(),
  size: z.number().int().nonnegative(),
  chunks: z.array(z.string().regex(chunkIdPattern)),
});

/**
 * Manifest of a base image: a whole data directory, WAL excepted, that becomes consistent by replaying from `redo` and
 * serves every LSN from `lsn` on (contract: stock-postgres.md 3).
 */
export const imageSchema = z.strictObject({
  format: z.number().int(),
  pg_version: z.number().int(),
  /** Build that wrote it: collations and compressed values depend on it. */
  build_id: z.string(),
  system_identifier: z.string().regex(/^\d+$/),
  /** Lowest LSN that can be served; below it, rows would show that were never committed. */
  lsn: lsnText,
  /** First WAL byte that is needed. */
  redo: lsnText,
  /** Position of the checkpoint record. */
  checkpoint: lsnText,
  /** Bytes of relations, which is what databases are said to be large. */
  logical_size: z.number().int().nonnegative(),
  /** Bytes of its chunks on disk, shared or not. */
  stored_size: z.number().int().nonnegative(),
  directories: z.array(path),
  files: z.array(fileSchema),
});

export type Image = z.infer<typeof imageSchema>;
export type ImageFile = z.infer<typeof fileSchema>;
