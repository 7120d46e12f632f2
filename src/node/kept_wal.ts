import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { CodedError } from "../errors/coded_error.ts";
import {
  forgetUnsavedWal,
  readUnsavedWal,
  type UnsavedWal,
  unsavedWalPath,
  writeUnsavedWal,
} from "../pgdata/unsaved_wal.ts";
import { stopLeftover } from "../postgres/leftover.ts";
import type { ResolvedSpec } from "../spec/resolved_spec.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Elected, WalProposer } from "../walproposer/driver/walproposer.ts";
import { type TailStart, tailStart } from "../walproposer/unsaved_tail.ts";
import { CONTROL_STATE_SHUT_DOWN, readControlFile } from "../wire/control_file.ts";
import { formatLsn, type Lsn } from "../wire/lsn.ts";

export interface KeptWal {
  readonly pgdata: string;
  readonly resolved: Pick<ResolvedSpec, "tenantId" | "timelineId">;
  readonly proposer: Pick<WalProposer, "findTail" | "pushTail">;
  readonly elected: Elected;
  readonly log: Logger;
}

/**
 * Brings to storage what an earlier start in asynchronous mode wrote and storage has not (design.md 4, contract:
 * storage-protocols.md 5.10 step 2). Only then may the directory be replaced.
 *
 * @returns true when storage's log has grown: where to go on must be found out anew
 * @throws CodedError `unsaved_wal` when something would be lost; the directory is untouched
 */
export async function saveKeptWal(kept: KeptWal): Promise<boolean> {
  const { pgdata, log, proposer, elected } = kept;
  const unsaved = await readUnsavedWal(pgdata);
  if (unsaved === undefined) return false;
  await stopLeftover(pgdata, { log: (message) => log.warn(message) });
  const from = partingPoint(kept, unsaved);
  const tail = await proposer.findTail(pgdata, from.from, unsaved.startLsn).catch((error: unknown) => {
    throw refusal(pgdata, "what it holds behind storage's log cannot be read", error);
  });
  const bytes = tail.end - tail.start;
  if (bytes > 0n && from.kind === "overtaken")
    throw refusal(
      pgdata,
      `it holds ${bytes} bytes of WAL behind ${formatLsn(tail.start)}, but another compute went on there with term ${from.term}`,
    );
  if (bytes > 0n) {
    // A crash from here on leaves WAL of this term in storage, and it is still the directory's own.
    await writeUnsavedWal(pgdata, { ...unsaved, terms: [...unsaved.terms, elected.term] });
    await proposer.pushTail(pgdata, tail);
    log.info(`brought ${bytes} bytes of WAL that ${pgdata} still held to storage, up to ${formatLsn(tail.end)}`);
  }
  await forgetUnsavedWal(pgdata);
  return bytes > 0n;
}

function partingPoint(
  { pgdata, resolved, elected }: KeptWal,
  unsaved: UnsavedWal,
): Exclude<TailStart, { kind: "unknown" }> {
  if (unsaved.tenantId !== resolved.tenantId || unsaved.timelineId !== resolved.timelineId)
    throw refusal(pgdata, `it belongs to timeline ${unsaved.timelineId} of tenant ${unsaved.tenantId}`);
  const start = tailStart(elected.history, elected.startLsn, unsaved.terms);
  if (start.kind === "unknown")
    throw refusal(pgdata, `storage's log has none of its terms (${unsaved.terms.join(", ")})`);
  return start;
}

/** A directory that may not be replaced whatever kind of compute is started on it. */
export async function refuseUnsavedWal(pgdata: string): Promise<void> {
  if ((await readUnsavedWal(pgdata)) !== undefined)
    throw refusal(pgdata, "only a primary on a stock PostgreSQL can bring it there");
}

function refusal(pgdata: string, why: string, cause?: unknown): CodedError {
  return new CodedError(
    "unsaved_wal",
    `${pgdata} may hold commits that storage has not, and is not overwritten: ${why}. To give them up, remove ${unsavedWalPath(pgdata)}`,
    cause === undefined ? {} : { cause },
  );
}

/** Whether the server stopped in order and storage has everything up to its shutdown checkpoint. */
export async function endedCleanly(pgdata: string, saved: Lsn): Promise<boolean> {
  const { state, checkpoint } = readControlFile(await readFile(join(pgdata, "global", "pg_control")));
  return state === CONTROL_STATE_SHUT_DOWN && checkpoint < saved;
}
