import { readFile, rm } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import * as z from "zod/mini";
import { replaceFile, syncDirectory } from "../disk/atomic_file.ts";
import { CodedError, errorCode } from "../errors/coded_error.ts";
import { formatLsn, type Lsn, parseLsn } from "../wire/lsn.ts";

const id = z.string().check(z.regex(/^[0-9a-f]{32}$/));
const schema = z.object({
  tenant_id: id,
  timeline_id: id,
  start_lsn: z.string(),
  terms: z.array(z.string().check(z.regex(/^[0-9]{1,20}$/))),
});

/** Whose WAL a data directory holds that storage may lack. */
export interface UnsavedWal {
  readonly tenantId: string;
  readonly timelineId: string;
  /** Where the directory's own server began to write: before that its WAL may be a base backup's zeros. */
  readonly startLsn: Lsn;
  /** Terms under which WAL of this directory was pushed: in storage's log these are its own. */
  readonly terms: readonly bigint[];
}

/** Beside PGDATA, not in it: a base backup replaces PGDATA. */
export function unsavedWalPath(pgdata: string): string {
  return `${resolve(pgdata)}.unsaved_wal.json`;
}

/** Undefined when storage has everything that the directory holds. @throws CodedError `unsaved_wal` when it cannot be read */
export async function readUnsavedWal(pgdata: string): Promise<UnsavedWal | undefined> {
  const path = unsavedWalPath(pgdata);
  try {
    const { tenant_id, timeline_id, start_lsn, terms } = schema.parse(JSON.parse(await readFile(path, "utf8")));
    const startLsn = parseLsn(start_lsn);
    return { tenantId: tenant_id, timelineId: timeline_id, startLsn, terms: terms.map(BigInt) };
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw new CodedError("unsaved_wal", `cannot read ${path}, which says whose WAL ${pgdata} holds`, { cause: error });
  }
}

/** Durable when it resolves: call it before a server writes WAL that nobody waits for. */
export async function writeUnsavedWal(pgdata: string, unsaved: UnsavedWal): Promise<void> {
  const content = {
    tenant_id: unsaved.tenantId,
    timeline_id: unsaved.timelineId,
    start_lsn: formatLsn(unsaved.startLsn),
    terms: unsaved.terms.map(String),
  };
  await replaceFile(unsavedWalPath(pgdata), `${JSON.stringify(content)}\n`);
}

/** Storage has everything: the directory may be replaced. */
export async function forgetUnsavedWal(pgdata: string): Promise<void> {
  const path = unsavedWalPath(pgdata);
  await rm(path, { force: true });
  await syncDirectory(dirname(path));
}
