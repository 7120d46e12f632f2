import { formatLsn } from "../lsn.ts";
import type { TermHistory } from "./history.ts";
import { invalidMessage } from "./invalid_message.ts";
import { type AppendRequest, MAX_APPEND_BYTES } from "./messages.ts";

export const TAG = { greeting: 0x67, vote: 0x76, elected: 0x65, append: 0x61 } as const;

const ID = /^[0-9a-fA-F]{32}$/;

/** A tenant or timeline id in its canonical form; upper case is accepted (contract: storage-protocols.md 0). */
export function checkedId(text: string, field: string): string {
  if (!ID.test(text)) throw invalidMessage(`${field} is not 32 hexadecimal digits`);
  return text.toLowerCase();
}

/** Number of WAL bytes between two LSNs of an append; an error when negative or more than one append may carry. */
export function appendLength(beginLsn: bigint, endLsn: bigint): number {
  const range = `${formatLsn(beginLsn)}..${formatLsn(endLsn)}`;
  if (endLsn < beginLsn) throw invalidMessage(`append ends before it begins: ${range}`);
  if (endLsn - beginLsn > BigInt(MAX_APPEND_BYTES))
    throw invalidMessage(`append of more than ${MAX_APPEND_BYTES} bytes: ${range}`);
  return Number(endLsn - beginLsn);
}

export function checkAppend(message: AppendRequest): void {
  const length = appendLength(message.beginLsn, message.endLsn);
  if (message.wal.length !== length)
    throw invalidMessage(`append announces ${length} bytes of WAL, but carries ${message.wal.length}`);
}

export function checkElectedHistory(history: TermHistory): void {
  if (history.length === 0) throw invalidMessage("an elected proposer's history is empty");
}

export function checkedNodeId(nodeId: bigint): bigint {
  if (nodeId === 0n) throw invalidMessage("a safekeeper's node id is 0");
  return nodeId;
}

export function unknownTag(tag: number | bigint): Error {
  return invalidMessage(`unknown tag 0x${tag.toString(16)}`);
}
