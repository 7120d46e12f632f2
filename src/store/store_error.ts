import { CodedError } from "../errors/coded_error.ts";

/** Codes that callers of the store tell apart; each listener maps them to its own protocol's words. */
export type StoreErrorCode =
  | "tenant_not_found"
  | "timeline_not_found"
  | "timeline_conflict"
  | "timeline_has_children"
  | "already_deleting"
  | "bad_request"
  | "generation_too_old"
  | "lsn_wait_timeout"
  | "lsn_below_cutoff"
  | "branch_lsn_out_of_range"
  | "timestamp_unknown"
  | "not_implemented"
  | "damaged_file"
  | "newer_format"
  | "directory_in_use"
  | "directory_unusable"
  | "address_in_use"
  | "unauthorized"
  | "shutting_down";

const STATUS: Readonly<Record<StoreErrorCode, number>> = {
  tenant_not_found: 404,
  timeline_not_found: 404,
  timeline_conflict: 409,
  timeline_has_children: 412,
  already_deleting: 409,
  bad_request: 400,
  generation_too_old: 409,
  lsn_wait_timeout: 408,
  lsn_below_cutoff: 406,
  branch_lsn_out_of_range: 406,
  timestamp_unknown: 412,
  not_implemented: 501,
  damaged_file: 500,
  newer_format: 500,
  directory_in_use: 500,
  directory_unusable: 500,
  address_in_use: 500,
  unauthorized: 403,
  shutting_down: 503,
};

const EXIT: Partial<Readonly<Record<StoreErrorCode, number>>> = {
  damaged_file: 4,
  newer_format: 4,
  directory_in_use: 4,
  directory_unusable: 4,
  address_in_use: 5,
};

export class StoreError extends CodedError {
  declare readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string, cause?: unknown) {
    super(code, message, { status: STATUS[code], exitCode: EXIT[code] ?? 1, cause });
  }
}

/** A file that is not as it was written: says which, what is wrong with it and what to do. */
export function damagedFile(path: string, problem: string, remedy: string, cause?: unknown): StoreError {
  return new StoreError("damaged_file", `${path} is damaged: ${problem}; ${remedy}`, cause);
}
