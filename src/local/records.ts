import * as z from "zod/mini";

const id = z.string().check(z.regex(/^[0-9a-f]{32}$/));
const major = z.union([z.literal(14), z.literal(15), z.literal(16), z.literal(17), z.literal(18)]);

/** `state/storages/NAME.json`; keys of later releases are kept. */
export const storageRecordSchema = z.looseObject({
  name: z.string(),
  type: z.literal("native"),
  /** Absent: its place in the state directory, wherever that is moved to. */
  path: z.optional(z.string()),
  /** Every branch of a storage belongs to one tenant. */
  tenant_id: id,
  created_at: z.string(),
});

/** `state/branches/STORAGE/NAME.json`. */
export const branchRecordSchema = z.looseObject({
  name: z.string(),
  storage_name: z.string(),
  timeline_id: id,
  pg_version: major,
  created_at: z.string(),
});

/** `state/pgs/NAME.json`. */
export const pgRecordSchema = z.looseObject({
  name: z.string(),
  storage_name: z.string(),
  branch: z.string(),
  created_at: z.string(),
});

export type StorageRecord = z.infer<typeof storageRecordSchema>;
export type BranchRecord = z.infer<typeof branchRecordSchema>;
export type PgRecord = z.infer<typeof pgRecordSchema>;
