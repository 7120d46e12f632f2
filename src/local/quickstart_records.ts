import type { PostgresMajor } from "../postgres/installation.ts";
import { type RecordReader, readRecord, writeRecord } from "./record_file.ts";
import {
  type BranchRecord,
  branchRecordSchema,
  type PgRecord,
  pgRecordSchema,
  type StorageRecord,
  storageRecordSchema,
} from "./records.ts";
import type { StateLayout } from "./state_layout.ts";

/** What a fresh state directory is given: one storage, its branch, a pg on it (contract: neon-local.md A2). */
export const STORAGE = "local";
const BRANCH = "main";
export const PG = "main";

export interface QuickstartRecords {
  readonly storage: StorageRecord;
  readonly branch: BranchRecord;
  readonly pg: PgRecord;
}

/** What is recorded of the quickstart so far; a record that cannot be read counts as not there. */
export async function readQuickstart(layout: StateLayout, reader: RecordReader): Promise<Partial<QuickstartRecords>> {
  const [storage, branch, pg] = await Promise.all([
    readRecord(layout.storageRecord(STORAGE), storageRecordSchema, reader),
    readRecord(layout.branchRecord(STORAGE, BRANCH), branchRecordSchema, reader),
    readRecord(layout.pgRecord(PG), pgRecordSchema, reader),
  ]);
  return { ...(storage && { storage }), ...(branch && { branch }), ...(pg && { pg }) };
}

export interface CompleteOptions {
  readonly major: PostgresMajor;
  /** Makes 32 lower-case hex digits. */
  readonly newId: () => string;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
}

/**
 * Writes the records that are missing. They come before what they speak of, which is made by calls that may be repeated: a
 * crash in between leaves nothing that nobody knows of.
 */
export async function completeQuickstart(
  layout: StateLayout,
  known: Partial<QuickstartRecords>,
  options: CompleteOptions,
): Promise<QuickstartRecords> {
  const created_at = new Date(options.now()).toISOString();
  const storage = known.storage ?? {
    name: STORAGE,
    type: "native" as const,
    tenant_id: options.newId(),
    created_at,
  };
  const branch = known.branch ?? {
    name: BRANCH,
    storage_name: STORAGE,
    timeline_id: options.newId(),
    pg_version: options.major,
    created_at,
  };
  const pg = known.pg ?? { name: PG, storage_name: STORAGE, branch: BRANCH, created_at };
  if (known.storage === undefined) await writeRecord(layout.storageRecord(STORAGE), storage);
  if (known.branch === undefined) await writeRecord(layout.branchRecord(STORAGE, BRANCH), branch);
  if (known.pg === undefined) await writeRecord(layout.pgRecord(PG), pg);
  return { storage, branch, pg };
}
