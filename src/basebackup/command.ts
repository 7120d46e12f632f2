import type { Mode } from "../spec/mode.ts";
import { formatLsn, INVALID_LSN, type Lsn } from "../wire/lsn.ts";

/** What to ask shard 0 of a tenant for (contract: storage-protocols.md 1.7, lifecycle.md 8). */
export interface BaseBackupRequest {
  /** 32 lower-case hex digits. */
  readonly tenantId: string;
  readonly timelineId: string;
  readonly mode: Mode["kind"];
  /** `0n`: the latest. */
  readonly lsn: Lsn;
  /** True unless the server is near enough that compressing costs more than it saves. */
  readonly gzip: boolean;
}

/** The libpq command, such as `basebackup <tenant> <timeline> 0/16ABCDE --gzip --replica`. */
export function baseBackupCommand(request: BaseBackupRequest): string {
  const words = ["basebackup", request.tenantId, request.timelineId];
  // Written out, 0/0 is not "latest": it fails the server's check against the GC cutoff (contract: storage-protocols.md 1.6).
  const lsn = requestedLsn(request);
  if (lsn !== INVALID_LSN) words.push(formatLsn(lsn));
  if (request.gzip) words.push("--gzip");
  if (request.mode !== "primary") words.push("--replica");
  return words.join(" ");
}

/** A replica always takes the latest. */
export function requestedLsn({ mode, lsn }: Pick<BaseBackupRequest, "mode" | "lsn">): Lsn {
  return mode === "replica" ? INVALID_LSN : lsn;
}

/** `options` of the start-up packet; storage only logs it. */
export function computeModeOption(mode: Mode["kind"]): string {
  return `-c neon.compute_mode=${mode}`;
}
