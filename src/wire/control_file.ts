import { CodedError } from "../errors/coded_error.ts";
import { crc32c } from "./crc32c.ts";
import type { Lsn } from "./lsn.ts";

const CONTROL_FILE_SIZE = 8192;

/** `state` of a cluster that was stopped cleanly. */
export const CONTROL_STATE_SHUT_DOWN = 1;
/** `state` of a server that runs, or was killed: recovery replays all WAL that it finds. */
export const CONTROL_STATE_IN_PRODUCTION = 6;

/** What this project reads from `global/pg_control` (contract: storage-protocols.md 2.3). */
export interface ControlFile {
  readonly systemIdentifier: bigint;
  /** 1300 for PostgreSQL 14-16, 1700, 1800. */
  readonly controlVersion: number;
  readonly catalogVersion: number;
  readonly state: number;
  /** Position of the last checkpoint record. */
  readonly checkpoint: Lsn;
  /** Where recovery from that checkpoint begins. */
  readonly redo: Lsn;
  readonly timeline: number;
  readonly minRecoveryPoint: Lsn;
  readonly backupStartPoint: Lsn;
  readonly backupEndRequired: boolean;
  readonly walLevel: number;
  readonly maxConnections: number;
  readonly maxWorkerProcesses: number;
  readonly maxWalSenders: number;
  readonly maxPreparedTransactions: number;
  readonly maxLocksPerTransaction: number;
  readonly pageSize: number;
  readonly walPageSize: number;
  readonly walSegmentSize: number;
  readonly checksumVersion: number;
}

/** Fields that may be changed without harm to what the file describes. */
export interface ControlFilePatch {
  readonly systemIdentifier?: bigint;
  readonly state?: number;
}

/** Reads `pg_control`, whose checksum must be right; error code `invalid_control_file` says what is wrong. */
export function readControlFile(bytes: Uint8Array): ControlFile {
  const view = checkedView(bytes);
  return {
    systemIdentifier: view.readBigUInt64LE(0),
    controlVersion: view.readUInt32LE(8),
    catalogVersion: view.readUInt32LE(12),
    state: view.readUInt32LE(16),
    checkpoint: view.readBigUInt64LE(32),
    redo: view.readBigUInt64LE(40),
    timeline: view.readUInt32LE(48),
    minRecoveryPoint: view.readBigUInt64LE(136),
    backupStartPoint: view.readBigUInt64LE(152),
    backupEndRequired: view.readUInt8(168) !== 0,
    walLevel: view.readUInt32LE(172),
    maxConnections: view.readUInt32LE(180),
    maxWorkerProcesses: view.readUInt32LE(184),
    maxWalSenders: view.readUInt32LE(188),
    maxPreparedTransactions: view.readUInt32LE(192),
    maxLocksPerTransaction: view.readUInt32LE(196),
    pageSize: view.readUInt32LE(216),
    walPageSize: view.readUInt32LE(224),
    walSegmentSize: view.readUInt32LE(228),
    checksumVersion: view.readUInt32LE(252),
  };
}

/** A copy of `pg_control` with some fields changed and the checksum made right again. */
export function patchControlFile(bytes: Uint8Array, patch: ControlFilePatch): Buffer {
  const copy = Buffer.from(checkedView(bytes));
  if (patch.systemIdentifier !== undefined) copy.writeBigUInt64LE(patch.systemIdentifier, 0);
  if (patch.state !== undefined) copy.writeUInt32LE(patch.state, 16);
  const crcOffset = checksumOffset(copy.readUInt32LE(8));
  copy.writeUInt32LE(crc32c(copy.subarray(0, crcOffset)), crcOffset);
  return copy;
}

/** 18 put one byte in front of the nonce, and alignment made four of it. */
function checksumOffset(controlVersion: number): number {
  return controlVersion >= 1800 ? 292 : 288;
}

function checkedView(bytes: Uint8Array): Buffer {
  if (bytes.length !== CONTROL_FILE_SIZE)
    throw invalid(`pg_control has ${bytes.length} bytes instead of ${CONTROL_FILE_SIZE}`);
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const version = view.readUInt32LE(8);
  if (version < 1300 || version > 1899)
    throw invalid(`pg_control has version ${version}: only those of PostgreSQL 14 to 18 are known`);
  const crcOffset = checksumOffset(version);
  if (crc32c(view.subarray(0, crcOffset)) !== view.readUInt32LE(crcOffset))
    throw invalid("pg_control has a wrong checksum: the file is damaged");
  return view;
}

function invalid(message: string): CodedError {
  return new CodedError("invalid_control_file", message);
}
